/* A party in a browser's tab: livekit-client, a canvas for a camera, WebAudio for the rest. */

import * as client from "./node_modules/livekit-client/dist/livekit-client.esm.mjs";
import { Party } from "./party.mjs";
import { CELLS, ROW, cells, read } from "./pictures.mjs";

const { ExternalE2EEKeyProvider, Room, RoomEvent, Track, VideoQuality } = client;

const WORKER = "./node_modules/livekit-client/dist/livekit-client.e2ee.worker.mjs";
const LAYERS = [[160, 90, 80_000], [320, 180, 200_000]];

/* Firefox never starts an AudioContext where there is no sound card, as in most test machines. It
 * does give a microphone with a tone (marionette.py says of what frequency), and records. */
const NO_SOUND_CARD = navigator.userAgent.includes("Firefox");

export class BrowserParty extends Party {
    #sound = new AudioContext();
    #number = 0;
    #dataTracks = new Map();
    #frames = [];

    nameOf(publication) { return publication.trackName; }
    isMuted(publication) { return publication.isMuted; }
    describe(camera) {
        return { full: camera?.dimensions?.width ?? 0, mime: camera?.mimeType ?? "", simulcast: camera?.simulcasted ?? false };
    }

    async connect({ url, token, key, path }) {
        const options = {};
        if (path === "/rtc") options.singlePeerConnection = false;
        if (key !== null) {
            const keyProvider = new ExternalE2EEKeyProvider();
            await keyProvider.setKey(key);
            options.encryption = { keyProvider, worker: new Worker(WORKER, { type: "module" }) };
        }
        const room = new Room(options);
        this.listen(room, client);
        this.answerCalls(room, client);
        room.on(RoomEvent.DataTrackPublished, (track) => this.#follow(track));
        if (key !== null) await room.setE2EEEnabled(true);
        await room.connect(url, token);
        if (!NO_SOUND_CARD) await this.#sound.resume();
    }

    async publish({ name, codec, simulcast, size, rate }) {
        const track = name === "camera" ? this.#camera(...size, rate) : await this.#microphone();
        const options = { name, source: name === "camera" ? Track.Source.Camera : Track.Source.Microphone };
        if (name === "camera") {
            options.videoEncoding = { maxBitrate: 800_000, maxFramerate: rate };
            if (codec !== null) options.videoCodec = codec;
            if (simulcast !== null) options.simulcast = simulcast;
            if (simulcast) {
                options.videoSimulcastLayers = LAYERS.map(([width, height, maxBitrate]) => ({
                    width, height, resolution: { width, height }, encoding: { maxBitrate, maxFramerate: rate },
                }));
            }
        }
        this.publications.set(name, await this.room.localParticipant.publishTrack(track, options));
    }

    async unpublish({ name }) {
        await this.room.localParticipant.unpublishTrack(this.publications.get(name).track);
        this.publications.delete(name);
    }

    async mute({ name, muted }) {
        const publication = this.publications.get(name);
        await (muted ? publication.mute() : publication.unmute());
    }

    quality({ identity, layer }) {
        const tracks = [...this.room.remoteParticipants.get(identity).trackPublications.values()];
        const camera = tracks.find((track) => track.trackName === "camera");
        camera.setVideoQuality({ low: VideoQuality.LOW, high: VideoQuality.HIGH }[layer]);
    }

    async starve({ on }) {
        const { sender } = this.publications.get("camera").track;
        const parameters = sender.getParameters();
        parameters.encodings.at(-1).active = !on;
        await sender.setParameters(parameters);
    }

    async set({ name, metadata, attributes }) {
        const me = this.room.localParticipant;
        await me.setName(name);
        await me.setMetadata(metadata);
        await me.setAttributes(attributes);
    }

    permit({ identities }) {
        const listed = (identities ?? []).map((identity) =>
            ({ participantIdentity: identity, allowAll: true }));
        this.room.localParticipant.setTrackSubscriptionPermissions(identities === null, listed);
    }

    permission() {
        const { canPublish: publish, canSubscribe: subscribe, canPublishData: data } =
            this.room.localParticipant.permissions;
        return { publish, subscribe, data };
    }

    async leave() {
        await this.room?.disconnect();
    }

    // --- data tracks ---

    async open_data_track({ name }) {
        this.#dataTracks.set(name, await this.room.localParticipant.publishDataTrack({ name }));
    }

    async push({ name, text }) {
        await this.#dataTracks.get(name).tryPush({ payload: new TextEncoder().encode(text) });
    }

    async close_data_track({ name }) {
        await this.#dataTracks.get(name).unpublish();
    }

    frames() { return this.#frames; }

    async #follow(track) {
        const note = (text) => this.#frames.push({ sender: track.publisherIdentity, name: track.info.name, text });
        const reader = track.subscribe().getReader();
        for (;;) {
            const { done, value } = await reader.read();
            if (done) return note("ended");
            note(new TextDecoder().decode(value.payload));
        }
    }

    // --- what goes out ---

    #camera(width, height, rate) {
        const canvas = Object.assign(document.createElement("canvas"), { width, height });
        const pen = canvas.getContext("2d", { alpha: false });
        // 0: a picture is taken when we say so, and none is missed or taken twice.
        const stream = canvas.captureStream(0);
        const [track] = stream.getVideoTracks();
        track.contentHint = "motion";
        const timer = setInterval(() => {
            if (track.readyState === "ended") return clearInterval(timer);
            if (!this.drawing) return;
            pen.fillStyle = "#606060";
            pen.fillRect(0, 0, width, height);
            cells(this.#number).forEach((white, at) => {
                pen.fillStyle = white ? "white" : "black";
                pen.fillRect(at * width / CELLS, 0, width / CELLS + 1, height / ROW);
            });
            pen.fillStyle = "#b4b4b4";
            pen.fillRect(this.#number * 5 % (width - 64), height / 3, 64, height / 3);
            track.requestFrame ? track.requestFrame() : stream.requestFrame();
            this.sentPictures.set(this.#number, Date.now());
            this.#number += 1;
        }, 1000 / rate);
        return track;
    }

    async #microphone() {
        if (NO_SOUND_CARD) {
            const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
            return stream.getAudioTracks()[0];
        }
        const note = new OscillatorNode(this.#sound, { frequency: this.frequency });
        const out = this.#sound.createMediaStreamDestination();
        note.connect(new GainNode(this.#sound, { gain: 0.25 })).connect(out);
        note.start();
        return out.stream.getAudioTracks()[0];
    }

    // --- what comes in ---

    watch(track, remote) {
        const strip = new OffscreenCanvas(1, 1);
        const pen = strip.getContext("2d", { willReadFrequently: true });
        const look = (picture, width, height) => {
            if (strip.width !== width) Object.assign(strip, { width, height });
            const rows = Math.ceil(height / ROW);
            pen.drawImage(picture, 0, 0);
            const { data } = pen.getImageData(0, 0, width, rows);
            this.saw(remote, read((x, y) => data[(y * width + x) * 4 + 1], width, height), width, height);
        };
        if ("MediaStreamTrackProcessor" in window) {
            // Every picture decoded; a video element may skip some when the page is busy.
            followFrames(track.mediaStreamTrack, look);
        } else {
            const video = Object.assign(track.attach(), { width: 64 });
            document.body.append(video);
            const next = () => {
                look(video, video.videoWidth, video.videoHeight);
                video.requestVideoFrameCallback(next);
            };
            video.requestVideoFrameCallback(next);
        }
    }

    hear(track, remote) {
        const audio = track.attach();            // Chromium decodes nothing that nobody plays
        document.body.append(audio);
        if (NO_SOUND_CARD) {
            remote.pitch = () => remote.recorded ?? 0;
            record(track.mediaStreamTrack, remote);
            return;
        }
        const ear = new AnalyserNode(this.#sound, { fftSize: 8192, smoothingTimeConstant: 0 });
        this.#sound.createMediaStreamSource(new MediaStream([track.mediaStreamTrack])).connect(ear);
        const levels = new Float32Array(ear.frequencyBinCount);
        remote.pitch = () => {
            ear.getFloatFrequencyData(levels);
            const loudest = levels.indexOf(Math.max(...levels));
            return levels[loudest] > -90 ? loudest * this.#sound.sampleRate / ear.fftSize : 0;
        };
    }
}

async function followFrames(track, look) {
    const reader = new MediaStreamTrackProcessor({ track }).readable.getReader();
    for (;;) {
        const { done, value: frame } = await reader.read();
        if (done) return;
        look(frame, frame.displayWidth, frame.displayHeight);
        frame.close();
    }
}

async function record(track, remote) {
    const decoder = new OfflineAudioContext(1, 48000, 48000);
    while (track.readyState === "live") {
        const recorder = new MediaRecorder(new MediaStream([track]));
        const recorded = new Promise((resolve) => { recorder.ondataavailable = ({ data }) => resolve(data); });
        recorder.start();
        setTimeout(() => recorder.stop(), 700);
        const bytes = await (await recorded).arrayBuffer();
        const sound = await decoder.decodeAudioData(bytes).catch(() => null);
        remote.recorded = sound ? loudest(sound.getChannelData(0).slice(-16384), sound.sampleRate) : 0;
    }
}

/* The frequency from 200 to 1500 Hz that a sound has most of; 0 for silence. One sample in eight
 * will do for that, and leaves the thread free for pictures. */
function loudest(sound, soundRate) {
    const samples = sound.filter((_, at) => at % 8 === 0), rate = soundRate / 8;
    let best = 0, most = 1e-4 * samples.length;
    for (let frequency = 200; frequency < 1500; frequency += 4) {
        let real = 0, imaginary = 0;
        for (let at = 0; at < samples.length; at += 1) {
            const turn = 2 * Math.PI * frequency * at / rate;
            real += samples[at] * Math.cos(turn);
            imaginary += samples[at] * Math.sin(turn);
        }
        const much = Math.hypot(real, imaginary);
        if (much > most) [best, most] = [frequency, much];
    }
    return best;
}
