/* A picture and a sound for those who have no camera: drawn and computed, and made so that a
 * program at the other end can tell which picture it sees.
 *
 * Along the top runs a row of black and white cells: one white, one black (so that a reader knows
 * what these look like after compression), sixteen bits of the picture's number, most significant
 * first, and four bits that check it: the exclusive-or of the number's four nibbles and 5. A row
 * of cells survives scaling and strong compression; digits do not.
 */

export const CELLS = 22;
const WIDTH = 640, HEIGHT = 360;
const PICTURES_A_SECOND = 20;
const SCALE = [262, 294, 330, 392, 440, 523, 587, 659];    // notes of C major that go together, in Hz

/** The cells of a picture's number: true is white. */
export function cells(number) {
    const check = (number >> 12 ^ number >> 8 ^ number >> 4 ^ number ^ 5) & 15;
    const bits = (value, count) => Array.from({ length: count }, (_, bit) => value >> count - 1 - bit & 1);
    return [1, 0, ...bits(number & 0xffff, 16), ...bits(check, 4)];
}

/** A number in 0..2^16 that is always the same for a name: chooses colour and pitch. */
export function fingerprint(name) {
    let value = 7;
    for (const letter of name) value = (value * 31 + letter.codePointAt(0)) % 65536;
    return value;
}

/** The pitch of the note that goes with *name*, in Hz. */
export function pitch(name) {
    return SCALE[fingerprint(name) % SCALE.length];
}

/** A video track that shows *name*, a moving disc and its own number. Ends when it is stopped. */
export function drawnCamera(name) {
    const canvas = Object.assign(document.createElement("canvas"), { width: WIDTH, height: HEIGHT });
    const pen = canvas.getContext("2d", { alpha: false });
    const hue = fingerprint(name) % 360;
    let number = 0;

    function draw() {
        const turn = number / PICTURES_A_SECOND;
        const sky = pen.createLinearGradient(0, 0, WIDTH, HEIGHT);
        sky.addColorStop(0, `hsl(${hue} 35% 34%)`);
        sky.addColorStop(1, `hsl(${hue + 50} 40% 22%)`);
        pen.fillStyle = sky;
        pen.fillRect(0, 0, WIDTH, HEIGHT);

        pen.fillStyle = `hsl(${hue + 25} 70% 72%)`;
        pen.beginPath();
        pen.arc(WIDTH / 2 + 210 * Math.sin(turn * 1.3), 205 + 70 * Math.cos(turn * 1.9), 46, 0, 7);
        pen.fill();

        pen.fillStyle = "white";
        pen.textAlign = "center";
        pen.font = "600 44px system-ui, sans-serif";
        pen.fillText(name, WIDTH / 2, 200, WIDTH - 60);
        pen.font = "26px system-ui, sans-serif";
        pen.fillText(`test picture ${number}`, WIDTH / 2, 245);

        cells(number).forEach((white, at) => {
            pen.fillStyle = white ? "white" : "black";
            pen.fillRect(at * WIDTH / CELLS, 0, WIDTH / CELLS + 1, HEIGHT / 8);
        });
        number = (number + 1) % 65536;
    }

    draw();
    const timer = setInterval(() => {
        if (track.readyState === "ended") clearInterval(timer);
        else draw();
    }, 1000 / PICTURES_A_SECOND);
    const [track] = canvas.captureStream(PICTURES_A_SECOND).getVideoTracks();
    track.contentHint = "motion";
    return track;
}

/** An audio track with a soft note, half of each second, of a pitch that goes with *name*. */
export function drawnMicrophone(name) {
    const context = new AudioContext();
    const note = new OscillatorNode(context, { frequency: pitch(name) });
    const pulse = new OscillatorNode(context, { type: "square", frequency: 1 });
    const swing = new GainNode(context, { gain: 0.05 });
    const loudness = new GainNode(context, { gain: 0.05 });    // 0.05 ± 0.05: a tenth, or nothing
    const out = context.createMediaStreamDestination();
    pulse.connect(swing).connect(loudness.gain);
    note.connect(loudness).connect(out);
    note.start();
    pulse.start();
    const [track] = out.stream.getAudioTracks();
    // Stopping a track tells nobody, and the note would play on unheard.
    const stop = track.stop.bind(track);
    track.stop = () => { stop(); context.close(); };
    return track;
}
