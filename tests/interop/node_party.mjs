/* A party in a Node process: @livekit/rtc-node. It reads a question a line, {"id", "word",
 * "arguments"}, and writes an answer a line, {"id", "value"} or {"id", "error"}, to descriptor 3:
 * the library itself writes to the standard ones. */

import fs from "node:fs";
import readline from "node:readline";
import {
    AudioFrame, AudioSource, AudioStream, LocalAudioTrack, LocalVideoTrack, Room, RoomEvent,
    TrackPublishOptions, TrackSource, VideoBufferType, VideoCodec, VideoFrame, VideoSource, VideoStream,
    dispose,
} from "@livekit/rtc-node";
import { Party } from "./party.mjs";
import { CELLS, ROW, cells, read } from "./pictures.mjs";

const RATE = 48000;
const SOURCES = { camera: TrackSource.SOURCE_CAMERA, microphone: TrackSource.SOURCE_MICROPHONE };

class NodeParty extends Party {
    #audio = new AudioSource(RATE, 1);
    #number = 0;
    #left = false;

    nameOf(publication) { return publication.name; }
    isMuted(publication) { return Boolean(publication.muted); }
    describe(camera) {
        return { full: camera?.width ?? 0, mime: camera?.mimeType ?? "", simulcast: camera?.simulcasted ?? false };
    }

    async connect({ url, token, key }) {
        const room = new Room();
        this.listen(room, RoomEvent);
        const options = { autoSubscribe: true, dynacast: false };
        if (key !== null) options.encryption = { keyProviderOptions: { sharedKey: new TextEncoder().encode(key) } };
        await room.connect(url, token, options);
        room.localParticipant.registerRpcMethod("double", async ({ payload }) => payload.repeat(2));
    }

    async publish({ name, codec, simulcast, size, rate }) {
        const options = new TrackPublishOptions({ source: SOURCES[name] });
        if (codec !== null) options.videoCodec = VideoCodec[codec.toUpperCase()];
        if (simulcast !== null) options.simulcast = simulcast;
        const track = name === "microphone" ? this.#microphone() : this.#camera(...size, rate);
        this.publications.set(name, await this.room.localParticipant.publishTrack(track, options));
    }

    async unpublish({ name }) {
        clearInterval(this.publications.get(name).track.timer);
        await this.room.localParticipant.unpublishTrack(this.publications.get(name).sid);
        this.publications.delete(name);
    }

    async leave() {
        if (this.#left) return;
        this.#left = true;
        for (const { track } of this.publications.values()) clearInterval(track.timer);
        await this.room?.disconnect();
    }

    // --- what goes out ---

    #camera(width, height, rate) {
        const source = new VideoSource(width, height);
        const track = LocalVideoTrack.createVideoTrack("camera", source);
        track.timer = setInterval(() => {
            if (!this.drawing) return;
            const picture = new VideoFrame(draw(this.#number, width, height), width, height, VideoBufferType.I420);
            source.captureFrame(picture);
            this.sentPictures.set(this.#number, Date.now());
            this.#number += 1;
        }, 1000 / rate);
        return track;
    }

    #microphone() {
        const track = LocalAudioTrack.createAudioTrack("microphone", this.#audio);
        this.#hum();
        return track;
    }

    async #hum() {
        for (let start = 0; !this.#left; start += RATE / 50) {
            const samples = Int16Array.from({ length: RATE / 50 },
                (_, at) => 8000 * Math.sin(2 * Math.PI * this.frequency * (start + at) / RATE));
            await this.#audio.captureFrame(new AudioFrame(samples, RATE, 1, samples.length));
        }
    }

    // --- what comes in ---

    async watch(track, remote) {
        for await (const { frame } of new VideoStream(track)) {
            const { data, width, height } = frame.type === VideoBufferType.I420
                ? frame : frame.convert(VideoBufferType.I420);
            this.saw(remote, read((x, y) => data[y * width + x], width, height), width, height);
        }
    }

    async hear(track, remote) {
        let heard = [];
        remote.pitch = () => pitch(Int16Array.from(heard.flatMap((part) => [...part])));
        for await (const { data } of new AudioStream(track, RATE, 1)) {
            heard = [...heard.slice(-49), data.slice()];
        }
    }
}

/* Brightness of all pixels, then two empty planes of colour. */
function draw(number, width, height) {
    const data = new Uint8Array(width * height * 3 / 2).fill(128);
    data.fill(96, 0, width * height);
    const fill = (left, right, top, bottom, value) => {
        for (let y = top; y < bottom; y += 1) data.fill(value, y * width + left, y * width + right);
    };
    cells(number).forEach((white, at) => {
        const edge = (cell) => Math.floor(cell * width / CELLS);
        fill(edge(at), edge(at + 1), 0, Math.floor(height / ROW), white ? 235 : 16);
    });
    const bar = number * 5 % (width - 64);
    fill(bar, bar + 64, Math.floor(height / 3), Math.floor(height * 2 / 3), 180);
    return data;
}

/* A pure tone crosses zero upwards once a turn. */
function pitch(samples) {
    const crossings = [];
    for (let at = 1; at < samples.length; at += 1) {
        if (samples[at - 1] < 0 && samples[at] >= 0) crossings.push(at);
    }
    if (crossings.length < 20 || Math.max(...samples) < 100) return 0;
    return (crossings.length - 1) * RATE / (crossings.at(-1) - crossings[0]);
}

const party = new NodeParty(Number(process.argv[2]));
for await (const line of readline.createInterface({ input: process.stdin })) {
    const { id, word, arguments: given } = JSON.parse(line);
    Promise.resolve().then(() => party[word](given)).then(
        (value) => ({ id, value }),
        (error) => ({ id, error: `${error.stack ?? error}` }),
    ).then((answer) => fs.writeSync(3, JSON.stringify(answer) + "\n"));
}
await party.leave();
await dispose();
process.exit(0);
