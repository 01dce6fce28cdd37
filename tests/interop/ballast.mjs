/* Megabytes that every party makes in the same way, and that do not compress: see ballast.py. */

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** Byte *at* is the last of a number that *at* is scrambled to. */
export function ballast(size) {
    const bytes = new Uint8Array(size);
    for (let at = 0; at < size; at += 1) {
        let number = at;
        number ^= number >>> 16;
        number = Math.imul(number, 0x85ebca6b);
        number ^= number >>> 13;
        number = Math.imul(number, 0xc2b2ae35);
        number ^= number >>> 16;
        bytes[at] = number & 255;
    }
    return bytes;
}

/** The same in letters, with an umlaut to begin with: *size* bytes in UTF-8. */
export function ballastText(size) {
    const letters = [...ALPHABET].map((letter) => letter.charCodeAt(0));
    return "ü" + new TextDecoder().decode(ballast(size - 2).map((byte) => letters[byte & 63]));
}

export async function digest(bytes) {
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    return [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
