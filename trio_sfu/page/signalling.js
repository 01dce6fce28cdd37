/* The signalling socket: one WebSocket to `/rtc/v1`, each message one text frame of JSON.
 *
 * The JSON is Protocol Buffers' own mapping of LiveKit's SignalRequest and SignalResponse: an
 * object with exactly one member, whose name is the kind ({"offer": {"type": "offer", ...}}).
 * Enums are names, 64-bit numbers are strings, bytes are base64, and whatever has its default
 * value (0, "", false, the first name of an enum) may be missing.
 */

import { decode, encode, SignalResponse, WrappedJoinRequest } from "./messages.js";
import { CallError } from "./errors.js";

const PROTOCOL = 16;                 // LiveKit's number for the conversation that we speak
const JOIN_TIMEOUT = 10_000;         // milliseconds

export class Signalling {
    #socket;
    #timer;
    #heard = performance.now();
    #queue = Promise.resolve();

    /** Called with (kind, body) for each message, in order: the next one waits for its promise. */
    onMessage = async () => {};
    /** Called once, when the socket has gone. */
    onClose = () => {};

    /** Connects and waits for the server's first word; gives [signalling, the Join]. */
    static async open(server, token) {
        const url = new URL("rtc/v1", server.endsWith("/") ? server : server + "/");
        url.protocol = url.protocol.replace("http", "ws");
        const joinRequest = encode(WrappedJoinRequest, { joinRequest: {
            clientInfo: { sdk: "JS", version: "1.0.0", protocol: PROTOCOL },
            connectionSettings: { autoSubscribe: true },
        } });
        url.search = new URLSearchParams({ access_token: token, join_request: base64url(joinRequest) });
        const signalling = new Signalling();
        const join = await signalling.#open(url).catch(async () => {
            throw await whyRefused(url);
        });
        return [signalling, join];
    }

    #open(url) {
        return new Promise((resolve, reject) => {
            const socket = this.#socket = new WebSocket(url);
            socket.binaryType = "arraybuffer";
            const deadline = setTimeout(reject, JOIN_TIMEOUT);
            socket.onopen = () => this.#ping();       // the text frame that turns the server to JSON
            socket.onclose = () => {
                clearInterval(this.#timer);
                reject();
                this.onClose();
            };
            socket.onmessage = ({ data }) => {
                this.#heard = performance.now();
                const message = typeof data === "string"
                    ? JSON.parse(data) : decode(SignalResponse, new Uint8Array(data));
                const [kind] = Object.keys(message);
                if (kind === "join") {
                    clearTimeout(deadline);
                    this.#keepAlive(message.join);
                    resolve(message.join);
                } else if (kind) {
                    this.#queue = this.#queue.then(() => this.onMessage(kind, message[kind]))
                        .catch((error) => console.error(`could not act on "${kind}"`, error));
                }
            };
        });
    }

    send(kind, body) {
        if (this.#socket.readyState === WebSocket.OPEN) {
            this.#socket.send(JSON.stringify({ [kind]: body }));
        }
    }

    close() {
        this.#socket.close();
    }

    #ping() {
        this.send("pingReq", { timestamp: String(Date.now()), rtt: "0" });
    }

    /* The server says how often it wants to hear from us, and after how long a silence we may
     * believe it gone. Anything that it says counts, not only its answers to these pings. */
    #keepAlive({ pingInterval = 5, pingTimeout = 15 }) {
        this.#timer = setInterval(() => {
            if (performance.now() - this.#heard > pingTimeout * 1000) this.close();
            else this.#ping();
        }, pingInterval * 1000);
    }
}

function base64url(bytes) {
    return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_");
}

/* A browser tells a page nothing about a WebSocket that was refused. But the server answers the
 * same question at `/rtc/v1/validate` without a socket, and there we may read the status. */
async function whyRefused(url) {
    const validate = new URL(url);
    validate.protocol = url.protocol.replace("ws", "http");
    validate.pathname += "/validate";
    let answer;
    try {
        answer = await fetch(validate);
    } catch {
        return new CallError("server-gone", url.host);
    }
    const said = (await answer.text()).trim();
    if (answer.ok) return new CallError("no-join", url.host);
    if (answer.status === 401) return new CallError("token", said);
    return new CallError("refused", said || `status ${answer.status}`);
}
