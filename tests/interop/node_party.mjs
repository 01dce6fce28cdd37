/* A party in a Node process: @livekit/rtc-node. It reads a question a line, {"id", "word",
 * "arguments"}, and writes an answer a line, {"id", "value"} or {"id", "error"}, to descriptor 3:
 * the library itself writes to the standard ones. */

import fs from "node:fs";
import readline from "node:readline";
import * as client from "@livekit/rtc-node";
import {
    AudioFrame, AudioSource, AudioStream, LocalAudioTrack, LocalVideoTrack, Room,
    TrackPublishOptions, TrackSource, VideoBufferType, VideoCodec, VideoFrame, VideoSource, VideoStream,
    dispose,
} from "@livekit/rtc-node";
import { Party } from "./party.mjs";
import { CELLS, ROW, cells, read } from "./pictures.mjs";

const RATE = 48000;
const SOURCES = { camera: TrackSource.SOURCE_CAMERA, microphone: TrackSource.SOURCE_MICROPHONE };

class NodeParty extends Party {
    #number = 0;
    #ended = false;

    nameOf(publication) { return publication.name; }
    isMuted(publication) { return Boolean(publication.muted); }
    describe(camera) {
        return { full: camera?.width ?? 0, mime: camera?.mimeType ?? "", simulcast: camera?.simulcasted ?? false };
    }

    async connect({ url, token, key, path }) {
        const room = new Room();
        this.listen(room, client);
        const options = { autoSubscribe: true, dynacast: false };
        // Not among its documented options, but handed on to the native half as it is.
        if (path === "/rtc") options.singlePeerConnection = false;
        if (key !== null) options.encryption = { keyProviderOptions: { sharedKey: new TextEncoder().encode(key) } };
        await room.connect(url, token, options);
        this.answerCalls(room.localParticipant, client);
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

    async set({ name, metadata, attributes }) {
        const me = this.room.localParticipant;
        await me.updateName(name);
        await me.updateMetadata(metadata);
        await me.setAttributes(attributes);
    }

    async leave() {
        for (const { track } of this.publications.values()) clearInterval(track.timer);
        this.publications.clear();
        await this.room?.disconnect();
    }

    async end() {
        this.#ended = true;
        await this.leave();
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
        const source = new AudioSource(RATE, 1);
        this.#hum(source).catch(() => {});   // the library closes it with the room
        return LocalAudioTrack.createAudioTrack("microphone", source);
    }

    async #hum(source) {
        for (let start = 0; !this.#ended; start += RATE / 50) {
            const samples = Int16Array.from({ length: RATE / 50 },
                (_, at) => 8000 * Math.sin(2 * Math.PI * this.frequency * (start + at) / RATE));
            await source.captureFrame(new AudioFrame(samples, RATE, 1, samples.length));
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
await party.end();
await dispose();
process.exit(0);
