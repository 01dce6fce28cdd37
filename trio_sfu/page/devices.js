/* Where our sound and picture come from: devices, or what this page draws. */

import { CallError, deviceError } from "./errors.js";
import { drawnCamera, drawnMicrophone } from "./picture.js";

const VIDEO = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };
const AUDIO = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };

export class Devices {
    /** *choice*: "devices", "microphone" (no picture), "picture" (drawn, with a note) or "nothing". */
    constructor(choice, name) {
        this.choice = choice;
        this.name = name;
    }

    async microphone() {
        if (this.choice === "nothing") return null;
        if (this.choice === "picture") return drawnMicrophone(this.name);
        return ask({ audio: AUDIO }, "microphone");
    }

    async camera() {
        if (this.choice === "picture") return drawnCamera(this.name);
        if (this.choice !== "devices") return null;
        return ask({ video: VIDEO }, "camera");
    }

    /** Whether a muted camera should be let go, so that its light goes out. */
    get hasLight() {
        return this.choice === "devices";
    }
}

async function ask(constraints, what) {
    if (!navigator.mediaDevices) throw new CallError("insecure");
    try {
        const stream = await navigator.mediaDevices.getUserMedia(constraints);
        return stream.getTracks()[0];
    } catch (error) {
        throw deviceError(error, what);
    }
}
