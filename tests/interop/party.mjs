/* What the parties in JavaScript, a browser's tab and a Node process, have in common: they answer
 * the words of conversation.py. livekit-client and rtc-node tell of a room in nearly one way. */

import { ballast, ballastText, digest } from "./ballast.mjs";

export const LONG_PAYLOAD = 15_360;  // bytes: what one packet may carry as a procedure's answer

export class Party {
    seenOf = new Map();              // identity -> what has come of them
    sentPictures = new Map();        // number -> when, in ms
    publications = new Map();        // "camera", "microphone" -> what we publish
    drawing = true;
    #events = [];
    #packets = [];
    #texts = [];
    #streams = [];
    #endings = [];
    #departures = {};

    constructor(frequency) {
        this.frequency = frequency;
    }

    /** Notes all that the room tells, in this client's words. */
    listen(room, { RoomEvent: names, DisconnectReason }) {
        this.room = room;
        const note = (event) => (publication, participant) =>
            this.#events.push(`${event} ${participant.identity} ${this.nameOf(publication)}`);
        room.on(names.TrackMuted, note("track_muted"));
        room.on(names.TrackUnmuted, note("track_unmuted"));
        room.on(names.TrackPublished, note("track_published"));
        room.on(names.TrackUnpublished, note("track_unpublished"));
        room.on(names.TrackSubscribed, (track, publication, participant) => {
            note("track_subscribed")(publication, participant);
            const remote = this.remote(participant.identity);
            const follow = this.nameOf(publication) === "camera" ? this.watch : this.hear;
            follow.call(this, track, remote);
        });
        room.on(names.TrackUnsubscribed, (_track, publication, participant) =>
            note("track_unsubscribed")(publication, participant));
        room.on(names.TrackSubscriptionPermissionChanged ?? "", (publication, status, participant) =>
            note(status)(publication, participant));
        room.on(names.ParticipantDisconnected, ({ identity, disconnectReason }) => {
            this.#events.push(`left ${identity}`);
            this.#departures[identity] = DisconnectReason[disconnectReason] ?? "";
        });
        room.on(names.Disconnected, (reason) => this.#endings.push(DisconnectReason[reason] ?? ""));
        room.on(names.DataReceived, (payload, participant, _kind, topic) => this.#packets.push({
            text: new TextDecoder().decode(payload), topic, sender: participant?.identity ?? "",
        }));
        room.registerTextStreamHandler("long", async (reader) => this.#texts.push(await reader.readAll()));
        const received = async (kind, bytes, sender) => {
            this.#streams.push({ kind, sender, size: bytes.length, digest: await digest(bytes) });
        };
        room.registerTextStreamHandler("ballast", async (reader, { identity }) => {
            await received("text", new TextEncoder().encode(await reader.readAll()), identity);
        });
        room.registerByteStreamHandler("ballast", async (reader, { identity }) => {
            const parts = [];
            for await (const part of reader) parts.push(part);
            await received("bytes", new Uint8Array(await new Blob(parts).arrayBuffer()), identity);
        });
    }

    /** What others may call. *target*: a room or a participant, as the client has it. */
    answerCalls(target, { RpcError }) {
        const answer = (method, work) => target.registerRpcMethod(method, work);
        answer("double", async ({ payload }) => payload.repeat(2));
        answer("echo", async ({ payload }) => payload);
        answer("refuse", async () => { throw new RpcError(4711, "no luck", "today"); });
        answer("break", async () => { throw new Error("a bug, on purpose"); });
        answer("sleep", () => new Promise((resolve) => setTimeout(resolve, 4000, "rested")));
        answer("overflow", async () => "x".repeat(LONG_PAYLOAD + 1));
    }

    remote(identity) {
        if (!this.seenOf.has(identity)) {
            this.seenOf.set(identity, { seen: new Map(), pictures: 0, width: 0, height: 0, pitch: () => 0 });
        }
        return this.seenOf.get(identity);
    }

    /** A picture of somebody was decoded. */
    saw(remote, number, width, height) {
        Object.assign(remote, { width, height });
        remote.pictures += 1;
        if (number !== null && !remote.seen.has(number)) remote.seen.set(number, Date.now());
    }

    // --- the words ---

    draw({ on }) { this.drawing = on; }
    count() { this.sentPictures.clear(); }
    sent() { return [...this.sentPictures]; }
    seen({ identity }) { return [...this.remote(identity).seen]; }
    events() { return this.#events; }
    packets() { return this.#packets; }
    texts() { return this.#texts; }

    view({ identity }) {
        const { pictures, width, height, pitch } = this.remote(identity);
        const participant = this.room.remoteParticipants.get(identity);
        const tracks = [...participant?.trackPublications.values() ?? []];
        const camera = tracks.find((track) => this.nameOf(track) === "camera");
        const names = (some) => some.map((track) => this.nameOf(track));
        return {
            pictures, width, height, pitch: pitch(),
            muted: names(tracks.filter((track) => this.isMuted(track))), published: names(tracks),
            ...this.describe(camera),
        };
    }

    async send({ kind, text, topic }) {
        const payload = new TextEncoder().encode(text);
        await this.room.localParticipant.publishData(payload, { reliable: kind === "reliable", topic });
    }

    async text({ text, topic }) {
        await this.room.localParticipant.sendText(text, { topic });
    }

    /** Sends so many bytes of text, or of a file. */
    async stream({ kind, size }) {
        const me = this.room.localParticipant, topic = "ballast";
        if (kind === "text") return void await me.sendText(ballastText(size), { topic });
        const writer = await me.streamBytes({ topic, name: topic, totalSize: size });
        await writer.write(ballast(size));
        await writer.close();
    }

    streams() { return this.#streams; }
    endings() { return this.#endings; }
    departures() { return this.#departures; }

    room_metadata() { return this.room.metadata; }

    silenced() {
        const mine = [...this.room.localParticipant.trackPublications.values()];
        return mine.filter((one) => this.isMuted(one)).map((one) => this.nameOf(one));
    }

    profile({ identity }) {
        const { name, metadata, attributes } = this.room.remoteParticipants.get(identity) ?? {};
        return { name, metadata, attributes };
    }

    /** Many procedures at once; of each what came of it. */
    async calls({ calls }) {
        const me = this.room.localParticipant;
        return Promise.all(calls.map(({ identity, method, payload, seconds }) => me.performRpc({
            destinationIdentity: identity, method, payload, responseTimeout: seconds * 1000,
        }).then((value) => ({ value }), ({ code, message, data }) => ({ code, message, data: data ?? "" }))));
    }

    async call({ identity, payload }) {
        return this.room.localParticipant.performRpc({ destinationIdentity: identity, method: "double", payload });
    }
}
