/* What is on the screen during a call: a tile for each participant, and the chat.
 *
 * `Grid.draw` is handed the participants as they are now and changes only what differs, so that no
 * picture flickers when somebody else is muted.
 */

import { fingerprint } from "./picture.js";

function element(tag, className, ...children) {
    const made = Object.assign(document.createElement(tag), { className });
    made.append(...children);
    return made;
}

class Tile {
    #video = Object.assign(element("video", ""), { autoplay: true, playsInline: true, muted: true });
    #audio = Object.assign(element("audio", ""), { autoplay: true });
    #initials = element("span", "initials");
    #name = element("span", "name");
    #quiet = Object.assign(element("span", "quiet", "muted"), { title: "The microphone is off" });
    root = element("figure", "tile", this.#initials, this.#video, this.#audio,
        element("figcaption", "", this.#name, this.#quiet));
    #shown;
    #watch;

    /** *onSize(sid, width, height)* is called when the picture of track *sid* is shown in a new size. */
    constructor(onSize) {
        this.#watch = new ResizeObserver(() => {
            const { width, height } = this.root.getBoundingClientRect();
            const scale = devicePixelRatio;
            if (this.#shown && width) onSize(this.#shown, Math.round(width * scale), Math.round(height * scale));
        });
    }

    draw({ name, identity, local, speaking, tracks }) {
        const camera = tracks.get("CAMERA"), microphone = tracks.get("MICROPHONE");
        const visible = Boolean(camera?.media) && !camera.muted;
        this.root.dataset.identity = identity;
        this.root.classList.toggle("speaking", speaking && !microphone?.muted);
        this.root.classList.toggle("local", local);
        this.root.style.setProperty("--hue", fingerprint(name) % 360);
        this.#name.textContent = local ? `${name} (you)` : name;
        this.#initials.textContent = [...name.matchAll(/\p{L}+|\p{N}+/gu)].slice(0, 2)
            .map(([word]) => word[0].toUpperCase()).join("");
        this.#quiet.hidden = Boolean(microphone) && !microphone.muted;
        this.#video.hidden = !visible;
        play(this.#video, visible ? camera.media : null);
        play(this.#audio, local ? null : microphone?.media ?? null);

        const shown = visible && !local ? camera.sid : undefined;
        if (shown === this.#shown) return;
        this.#shown = shown;
        this.#watch.disconnect();
        if (shown) this.#watch.observe(this.root);       // observing calls back at once
    }

    remove() {
        this.#watch.disconnect();
        this.root.remove();
    }
}

function play(player, track) {
    if ((player.srcObject?.getTracks()[0] ?? null) === track) return;
    player.srcObject = track && new MediaStream([track]);
}

export class Grid {
    #tiles = new Map();              // a participant's sid -> their tile

    constructor(root, onSize) {
        this.root = root;
        this.onSize = onSize;
        new ResizeObserver(() => this.#arrange()).observe(root);
    }

    draw(participants) {
        for (const [sid, tile] of this.#tiles) {
            if (participants.has(sid)) continue;
            tile.remove();
            this.#tiles.delete(sid);
        }
        for (const [sid, participant] of participants) {
            let tile = this.#tiles.get(sid);
            if (!tile) {
                this.#tiles.set(sid, tile = new Tile(this.onSize));
                this.root.append(tile.root);
            }
            tile.draw(participant);
        }
        this.#arrange();
    }

    /* As many columns as make the pictures, which are mostly 16:9, largest. */
    #arrange() {
        const { width, height } = this.root.getBoundingClientRect();
        const count = this.#tiles.size;
        let best = 1, widest = 0;
        for (let columns = 1; columns <= count; columns += 1) {
            const rows = Math.ceil(count / columns);
            const picture = Math.min(width / columns, height / rows * 16 / 9);
            if (picture > widest) [best, widest] = [columns, picture];
        }
        this.root.style.setProperty("--columns", best);
    }

    clear() {
        this.draw(new Map());
    }
}

/** Adds a line to the chat and keeps the newest in view. */
export function addText(list, { name, text, own }) {
    const line = element("li", own ? "own" : "", element("b", "", name), element("span", "", text));
    list.append(line);
    line.scrollIntoView({ block: "end" });
}
