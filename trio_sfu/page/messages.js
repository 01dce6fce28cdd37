/* The messages of LiveKit's protocol that this page uses, and the little of Protocol Buffers
 * that it takes to read and write them.
 *
 * Why any protobuf at all, when the signalling is JSON? Thrice the wire is binary:
 *   - what we ask for when we join is in the socket's address, as base64;
 *   - data packets (our chat) travel over a WebRTC data channel, always in binary;
 *   - the server speaks JSON from our first text frame on, but its first words, the Join,
 *     may be on their way before it has heard from us.
 *
 * A protobuf message is a run of fields. A field is a key, which is (number << 3 | wire type),
 * and a value: wire type 0 is a varint (seven bits a byte, least significant first, the top bit
 * says that more follow), 1 eight bytes, 2 a length and so many bytes (text, bytes, a message
 * within), 5 four bytes. Unknown fields are skipped: that is how old readers live with new writers.
 *
 * A schema below maps a field's number to [its name in JSON, its type, "repeated" or nothing].
 * Decoded messages look as they do in JSON, except that a 64-bit number is a number, not a string.
 */

const TEXT = "text", BYTES = "bytes", NUMBER = "number", BOOL = "bool", FLOAT = "float";
const REPEATED = "repeated";
// An enum is the list of its names: what the wire calls 2 is the third.
const TrackType = ["AUDIO", "VIDEO", "DATA"];
const TrackSource = ["UNKNOWN", "CAMERA", "MICROPHONE", "SCREEN_SHARE", "SCREEN_SHARE_AUDIO"];
const State = ["JOINING", "JOINED", "ACTIVE", "DISCONNECTED"];
const Target = ["PUBLISHER", "SUBSCRIBER"];
const Action = ["DISCONNECT", "RESUME", "RECONNECT"];
const Reason = [
    "UNKNOWN_REASON", "CLIENT_INITIATED", "DUPLICATE_IDENTITY", "SERVER_SHUTDOWN",
    "PARTICIPANT_REMOVED", "ROOM_DELETED", "STATE_MISMATCH", "JOIN_FAILURE", "MIGRATION",
    "SIGNAL_CLOSE", "ROOM_CLOSED",
];

const TrackInfo = {
    1: ["sid", TEXT], 2: ["type", TrackType], 3: ["name", TEXT], 4: ["muted", BOOL],
    5: ["width", NUMBER], 6: ["height", NUMBER], 9: ["source", TrackSource],
};
const ParticipantInfo = {
    1: ["sid", TEXT], 2: ["identity", TEXT], 3: ["state", State],
    4: ["tracks", TrackInfo, REPEATED], 9: ["name", TEXT],
};
const SessionDescription = { 1: ["type", TEXT], 2: ["sdp", TEXT], 3: ["id", NUMBER] };
const IceServer = { 1: ["urls", TEXT, REPEATED], 2: ["username", TEXT], 3: ["credential", TEXT] };
const SpeakerInfo = { 1: ["sid", TEXT], 2: ["level", FLOAT], 3: ["active", BOOL] };

/** What the server says on the signalling socket: exactly one of these at a time. */
export const SignalResponse = {
    1: ["join", {
        1: ["room", { 1: ["sid", TEXT], 2: ["name", TEXT] }],
        2: ["participant", ParticipantInfo],
        3: ["otherParticipants", ParticipantInfo, REPEATED],
        5: ["iceServers", IceServer, REPEATED],
        10: ["pingTimeout", NUMBER], 11: ["pingInterval", NUMBER],
    }],
    2: ["answer", SessionDescription],
    4: ["trickle", { 1: ["candidateInit", TEXT], 2: ["target", Target], 3: ["final", BOOL] }],
    5: ["update", { 1: ["participants", ParticipantInfo, REPEATED] }],
    6: ["trackPublished", { 1: ["cid", TEXT], 2: ["track", TrackInfo] }],
    8: ["leave", { 2: ["reason", Reason], 3: ["action", Action] }],
    9: ["mute", { 1: ["sid", TEXT], 2: ["muted", BOOL] }],
    10: ["speakersChanged", { 1: ["speakers", SpeakerInfo, REPEATED] }],
    25: ["mediaSectionsRequirement", { 1: ["numAudios", NUMBER], 2: ["numVideos", NUMBER] }],
};

/** What we are and want, in the address of the signalling socket. */
export const WrappedJoinRequest = {
    2: ["joinRequest", {
        1: ["clientInfo", { 1: ["sdk", ["UNKNOWN", "JS"]], 2: ["version", TEXT], 3: ["protocol", NUMBER] }],
        2: ["connectionSettings", { 1: ["autoSubscribe", BOOL] }],
    }],
};

/** What travels on the data channels. A text is a stream: a header, chunks, a trailer. */
export const DataPacket = {
    1: ["kind", ["RELIABLE", "LOSSY"]],
    4: ["participantIdentity", TEXT],
    13: ["streamHeader", {
        1: ["streamId", TEXT], 2: ["timestamp", NUMBER], 3: ["topic", TEXT], 4: ["mimeType", TEXT],
        5: ["totalLength", NUMBER],
        9: ["textHeader", { 1: ["operationType", ["CREATE", "UPDATE", "DELETE", "REACTION"]] }],
    }],
    14: ["streamChunk", { 1: ["streamId", TEXT], 2: ["chunkIndex", NUMBER], 3: ["content", BYTES] }],
    15: ["streamTrailer", { 1: ["streamId", TEXT] }],
    16: ["sequence", NUMBER],
};

/** An object from the bytes of a message. Throws RangeError where the bytes end too early. */
export function decode(schema, bytes) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const message = {};
    let at = 0;

    function varint() {
        let value = 0;
        for (let scale = 1; ; scale *= 128) {          // not <<: that would stop at 32 bits
            const byte = view.getUint8(at++);
            value += (byte & 0x7f) * scale;
            if (byte < 0x80) return value;
        }
    }
    function block() {
        const length = varint();
        at += length;
        if (at > bytes.length) throw new RangeError("a field is longer than its message");
        return bytes.subarray(at - length, at);
    }

    while (at < bytes.length) {
        const key = varint(), wire = key % 8, [name, type, repeated] = schema[Math.floor(key / 8)] ?? [];
        let value;
        if (wire === 0) value = varint();
        else if (wire === 1) { value = view.getFloat64(at, true); at += 8; }
        else if (wire === 2) value = block();
        else if (wire === 5) { value = view.getFloat32(at, true); at += 4; }
        else throw new RangeError(`wire type ${wire} is none of Protocol Buffers'`);
        if (!name) continue;

        if (type === TEXT) value = new TextDecoder().decode(value);
        else if (type === BOOL) value = value !== 0;
        else if (Array.isArray(type)) value = type[value];
        else if (typeof type === "object") value = decode(type, value);
        if (repeated) (message[name] ??= []).push(value);
        else message[name] = value;
    }
    return message;
}

/** The bytes of a message. Fields that the object lacks are left out: the reader knows the default. */
export function encode(schema, message) {
    const bytes = [];
    function varint(value) {
        for (; value >= 128; value = Math.floor(value / 128)) bytes.push(value % 128 + 128);
        bytes.push(value);
    }
    for (const [number, [name, type, repeated]] of Object.entries(schema)) {
        if (message[name] === undefined) continue;
        for (let value of repeated ? message[name] : [message[name]]) {
            if (Array.isArray(type)) value = type.indexOf(value);
            if (typeof value === "number" || typeof value === "boolean") {
                varint(number * 8);
                varint(Number(value));
                continue;
            }
            if (type === TEXT) value = new TextEncoder().encode(value);
            else if (type !== BYTES) value = encode(type, value);
            varint(number * 8 + 2);
            varint(value.length);
            for (const byte of value) bytes.push(byte);   // push(...value) would overflow the stack
        }
    }
    return new Uint8Array(bytes);
}
