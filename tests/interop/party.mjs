/* What the parties in JavaScript, a browser's tab and a Node process, have in common: they answer
 * the words of conversation.py. livekit-client and rtc-node tell of a room in nearly one way. */

export class Party {
    seenOf = new Map();              // identity -> what has come of them
    sentPictures = new Map();        // number -> when, in ms
    publications = new Map();        // "camera", "microphone" -> what we publish
    drawing = true;
    #events = [];
    #packets = [];
    #texts = [];

    constructor(frequency) {
        this.frequency = frequency;
    }

    /** Notes all that the room tells. *names*: this client's RoomEvent. */
    listen(room, names) {
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
        room.on(names.ParticipantDisconnected, ({ identity }) => this.#events.push(`left ${identity}`));
        room.on(names.DataReceived, (payload, participant, _kind, topic) => this.#packets.push({
            text: new TextDecoder().decode(payload), topic, sender: participant?.identity ?? "",
        }));
        room.registerTextStreamHandler("long", async (reader) => this.#texts.push(await reader.readAll()));
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

    async call({ identity, payload }) {
        return this.room.localParticipant.performRpc({ destinationIdentity: identity, method: "double", payload });
    }
}
