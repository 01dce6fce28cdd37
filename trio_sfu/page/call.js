/* One call: the signalling, one peer connection, and who is in the room.
 *
 *              signalling (WebSocket)
 *     page  <==========================>  server
 *           <====== connection ========>           our tracks, everybody else's, and data
 *
 * We make every offer, so there is never one from each side at once. What others send comes in
 * sections that we offer for it (recvonly): a few with the first offer, and more when the server
 * says how many (mediaSectionsRequirement). It says so, too, when its next answer is to say
 * something else than the last: whatever it wants, we offer again.
 *
 * The server is told of a track before its media is negotiated (addTrack, answered by
 * trackPublished), and tells us of a participant (update) before the answer with their tracks. A
 * track that comes in is known by its stream's id, "PA_participant|TR_track".
 */

import { Signalling } from "./signalling.js";
import { CallError } from "./errors.js";
import { DataPacket, decode, encode } from "./messages.js";

const FIRST_SECTIONS = 3;            // of sound, and of pictures, to hear others in from the start
const PUBLISH_TIMEOUT = 10_000;      // milliseconds
const CHAT_TOPIC = "lk.chat";        // where LiveKit's own clients chat, by text streams
export const LONGEST_TEXT = 4000;    // characters: at 3 bytes each they still fit one 15 kB chunk

/* A camera is sent up to three times, in a quarter, half and all of its width and height. Each
 * subscriber gets one of them from the server, as large as they show it. Browsers leave out the
 * largest where three would come of a small picture, so we ask for no more than they make. Two
 * bits a pixel and second (1.8 Mbit/s for 1280x720) are a good picture. */
const DIVISORS = [[960, [4, 2, 1]], [480, [2, 1]], [0, [1]]];      // from which width on
const NAMES = [["LOW", "q"], ["MEDIUM", "h"], ["HIGH", "f"]];       // lowest layer first
const BITS_A_PIXEL = 2, LEAST_BITRATE = 60_000;

function layers(width, height) {
    const [, divisors] = DIVISORS.find(([least]) => width >= least);
    return divisors.map((divisor, layer) => {
        const [quality, rid] = NAMES[layer];
        const size = { width: Math.round(width / divisor), height: Math.round(height / divisor) };
        const bitrate = Math.max(LEAST_BITRATE, BITS_A_PIXEL * size.width * size.height);
        return {
            announced: { quality, bitrate, ...size },
            encoding: { rid, scaleResolutionDownBy: divisor, maxBitrate: bitrate },
        };
    });
}

export class Call {
    #signalling;
    #connection;
    #reliable;                       // the data channel that we speak on
    #sequence = 0;                   // of our reliable data packets
    #offerId = 0;
    #answered = () => {};            // called when the offer that is out has its answer
    #negotiated = Promise.resolve(); // the end of the queue of negotiations
    #wishes = new Map();             // cid -> what to call when the server has, or has not, taken it
    #texts = new Map();              // stream id -> {identity, text}: texts not yet complete
    #everConnected = false;
    #ended = false;

    room = "";
    /** sid -> {sid, identity, name, local, speaking, tracks: Map of source -> {sid, muted, media}} */
    participants = new Map();
    /** "CAMERA" or "MICROPHONE" -> {sid, sender, media}: what we publish. */
    published = new Map();

    onChange = () => {};             // somebody came, went, was muted, speaks, or is to be seen
    onText = () => {};               // ({name, text, own})
    onEnd = () => {};                // (a CallError): it ended, and not because we left

    async join(server, token) {
        const [signalling, join] = await Signalling.open(server, token);
        // Nothing may wait between here and the end of this function: the next message would be lost.
        this.#signalling = signalling;
        signalling.onMessage = (kind, body) => this.#reactions[kind]?.(body);
        signalling.onClose = () => this.#end(new CallError("connection-lost"));
        this.room = join.room.name;
        this.me = join.participant.sid;
        for (const info of [join.participant, ...join.otherParticipants ?? []]) this.#learn(info);
        this.#connect(join.iceServers ?? []);
        this.#negotiate().catch(console.error);
    }

    leave() {
        this.#signalling?.send("leave", { reason: "CLIENT_INITIATED", action: "DISCONNECT" });
        this.#end(null);
    }

    /** Sends a track to the room. *source* is "CAMERA" or "MICROPHONE". */
    async publish(media, source) {
        const video = media.kind === "video";
        const { width = 640, height = 360 } = media.getSettings();
        const sent = video ? layers(width, height) : [];
        const { sid } = await this.#announce({
            cid: media.id, source, name: source.toLowerCase(), type: media.kind.toUpperCase(),
            ...video && { width, height, layers: sent.map(({ announced }) => announced) },
        });
        const { sender } = this.#connection.addTransceiver(media, {
            direction: "sendonly",
            streams: [new MediaStream([media])],
            sendEncodings: sent.map(({ encoding }) => encoding),
        });
        this.published.set(source, { sid, sender, media });
        this.#ourselves.tracks.set(source, { sid, muted: false, media });
        await this.#negotiate();
        this.onChange();
    }

    /** Tells the room that a track of ours pauses or goes on; *media* may take the old one's place. */
    async setMuted(source, muted, media) {
        const track = this.published.get(source);
        if (media) {
            await track.sender.replaceTrack(media);
            track.media = media;
        }
        track.media.enabled = !muted;
        Object.assign(this.#ourselves.tracks.get(source), { muted, media: track.media });
        this.#signalling.send("mute", { sid: track.sid, muted });
        this.onChange();
    }

    /** Says in what size a picture is shown, so that the server sends no more than that takes. */
    show(sid, width, height) {
        this.#signalling.send("trackSetting", { trackSids: [sid], width, height });
    }

    sendText(text) {
        const streamId = crypto.randomUUID();
        const content = new TextEncoder().encode(text);
        const timestamp = Date.now();
        for (const part of [
            { streamHeader: { streamId, timestamp, topic: CHAT_TOPIC, mimeType: "text/plain",
                totalLength: content.length, textHeader: { operationType: "CREATE" } } },
            { streamChunk: { streamId, chunkIndex: 0, content } },
            { streamTrailer: { streamId } },
        ]) {
            this.#sequence += 1;
            this.#reliable.send(encode(DataPacket, { ...part, kind: "RELIABLE", sequence: this.#sequence }));
        }
        this.onText({ name: this.#ourselves.name, text, own: true });
    }

    get canSendText() {
        return this.#reliable?.readyState === "open";
    }

    get #ourselves() {
        return this.participants.get(this.me);
    }

    // --- what the server says ---

    #reactions = {
        answer: async (answer) => {
            if (answer.id && answer.id !== this.#offerId) return;    // to an offer of the past
            await this.#connection.setRemoteDescription({ type: answer.type, sdp: answer.sdp });
            this.#answered();
        },
        mediaSectionsRequirement: ({ numAudios = 0, numVideos = 0 }) => {
            this.#listenFor(numAudios, numVideos);
            // Not waited for: the answer is a message, too.
            this.#negotiate().catch(console.error);
        },
        trickle: ({ candidateInit }) => this.#connection.addIceCandidate(JSON.parse(candidateInit)),
        trackPublished: ({ cid, track }) => this.#wishes.get(cid)?.resolve(track),
        requestResponse: ({ reason, message, addTrack }) => {
            if (addTrack && reason !== "QUEUED") this.#wishes.get(addTrack.cid)?.reject(message);
        },
        update: ({ participants = [] }) => {
            for (const info of participants) this.#learn(info);
            this.onChange();
        },
        speakersChanged: ({ speakers = [] }) => {
            for (const { sid, active = false } of speakers) {
                const participant = this.participants.get(sid);
                if (participant) participant.speaking = active;
            }
            this.onChange();
        },
        mute: ({ sid, muted = false }) => {          // somebody in charge of the room muted us
            for (const [source, track] of this.published) {
                if (track.sid === sid) return this.setMuted(source, muted);
            }
        },
        leave: ({ reason = "UNKNOWN_REASON" }) => this.#end(new CallError(reason)),
    };

    /* What we hear of a participant is always the whole: a track that is no longer named is gone. */
    #learn({ sid, identity, name, state, tracks = [] }) {
        if (state === "DISCONNECTED") return void this.participants.delete(sid);
        const before = this.participants.get(sid);
        const local = sid === this.me;
        this.participants.set(sid, {
            sid, identity, local, name: name || identity, speaking: before?.speaking ?? false,
            tracks: local && before ? before.tracks : new Map(tracks.map((track) => [
                track.source ?? "UNKNOWN",
                { sid: track.sid, muted: track.muted ?? false, media: this.#arrived.get(track.sid) },
            ])),
        });
    }

    // --- the peer connections ---

    #arrived = new Map();            // a track's sid -> its MediaStreamTrack

    #connect(iceServers) {
        const connection = this.#connection = new RTCPeerConnection({ iceServers });
        connection.onicecandidate = ({ candidate }) => {
            if (!candidate) return;
            const candidateInit = JSON.stringify(candidate);
            this.#signalling.send("trickle", { candidateInit, target: "PUBLISHER" });
        };
        connection.onconnectionstatechange = () => {
            if (connection.connectionState === "connected") this.#everConnected = true;
            if (connection.connectionState !== "failed") return;
            this.#end(new CallError(this.#everConnected ? "connection-lost" : "media-blocked"));
        };
        connection.ontrack = ({ track, streams: [stream] }) => {
            if (!stream) return;                 // a section that nothing comes in yet
            const [, sid] = stream.id.split("|");
            this.#arrived.set(sid, track);
            for (const participant of this.participants.values()) {
                for (const known of participant.tracks.values()) {
                    if (known.sid === sid) known.media = track;
                }
            }
            this.onChange();
        };
        // LiveKit's names: every client has these two, and says on each what suits it.
        this.#reliable = connection.createDataChannel("_reliable", { ordered: true });
        const lossy = connection.createDataChannel("_lossy", { ordered: false, maxRetransmits: 0 });
        this.#listen(this.#reliable);
        this.#listen(lossy);
        this.#reliable.onopen = () => this.onChange();
        this.#listenFor(FIRST_SECTIONS, FIRST_SECTIONS);
    }

    /* Offers so many more sections for others' tracks to come in. */
    #listenFor(audios, videos) {
        for (const [kind, count] of [["audio", audios], ["video", videos]]) {
            for (let more = count; more > 0; more -= 1) {
                this.#connection.addTransceiver(kind, { direction: "recvonly" });
            }
        }
    }

    /* One offer at a time: the next waits until the last has its answer. */
    #negotiate() {
        this.#negotiated = this.#negotiated.then(async () => {
            const answered = new Promise((resolve) => { this.#answered = resolve; });
            await this.#connection.setLocalDescription();
            const { type, sdp } = this.#connection.localDescription;
            this.#offerId += 1;
            this.#signalling.send("offer", { type, sdp, id: this.#offerId });
            await answered;
        });
        return this.#negotiated;
    }

    #announce(request) {
        return new Promise((resolve, reject) => {
            const refuse = (why) => {
                console.warn("the server did not take a track:", why);
                reject(new CallError("publish", request.name));
            };
            const timer = setTimeout(refuse, PUBLISH_TIMEOUT, "no answer");
            this.#wishes.set(request.cid, { resolve, reject: refuse, timer });
            this.#signalling.send("addTrack", request);
        }).finally(() => {
            clearTimeout(this.#wishes.get(request.cid).timer);
            this.#wishes.delete(request.cid);
        });
    }

    // --- data ---

    #listen(channel) {
        channel.binaryType = "arraybuffer";
        channel.onmessage = ({ data }) => this.#read(decode(DataPacket, new Uint8Array(data)));
    }

    #read({ participantIdentity: identity, streamHeader, streamChunk, streamTrailer }) {
        if (streamHeader?.topic === CHAT_TOPIC && streamHeader.textHeader) {
            this.#texts.set(streamHeader.streamId, { identity, decoder: new TextDecoder(), text: "" });
        } else if (streamChunk) {
            const stream = this.#texts.get(streamChunk.streamId);
            if (!stream || stream.text.length > LONGEST_TEXT) return;
            stream.text += stream.decoder.decode(streamChunk.content, { stream: true });
        } else if (streamTrailer) {
            const stream = this.#texts.get(streamTrailer.streamId);
            this.#texts.delete(streamTrailer.streamId);
            if (!stream) return;
            const from = [...this.participants.values()].find((one) => one.identity === stream.identity);
            this.onText({ name: from?.name ?? stream.identity, text: stream.text, own: false });
        }
    }

    #end(error) {
        if (this.#ended) return;
        this.#ended = true;
        this.#signalling?.close();
        this.#connection?.close();
        if (error) this.onEnd(error);
    }
}
