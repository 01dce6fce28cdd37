/* The pictures of pictures.py, for clients in JavaScript: see there how a picture says its number. */

export const CELLS = 22;
export const ROW = 8;                // the row of cells takes an eighth of the height
const CONTRAST = 60;

export function cells(number) {
    const check = (number >> 12 ^ number >> 8 ^ number >> 4 ^ number ^ 5) & 15;
    const bits = (value, count) => Array.from({ length: count }, (_, bit) => value >> count - 1 - bit & 1);
    return [1, 0, ...bits(number & 0xffff, 16), ...bits(check, 4)];
}

/** The number of a picture, or null. *brightness(x, y)* gives 0 to 255. */
export function read(brightness, width, height) {
    if (width < 3 * CELLS || height < 2 * ROW) return null;
    const values = [];
    for (let cell = 0; cell < CELLS; cell += 1) {
        const x = Math.floor((cell + 0.5) * width / CELLS);
        let sum = 0;
        for (let dx = -1; dx <= 1; dx += 1) {
            for (const part of [0.35, 0.5, 0.65]) sum += brightness(x + dx, Math.floor(height / ROW * part));
        }
        values.push(sum / 9);
    }
    const [white, black] = values;
    if (white - black < CONTRAST) return null;
    const bits = values.map((value) => Number(value > (white + black) / 2));
    const number = parseInt(bits.slice(2, 18).join(""), 2);
    return cells(number).join() === bits.join() ? number : null;
}
