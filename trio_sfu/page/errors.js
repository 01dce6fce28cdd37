/* What can go wrong, in words for the person in front of the page.
 *
 * Each entry is [what happened, what to do about it]. `%` stands for a detail: a server's name or
 * what it said. Errors in the program itself are not here: those belong on the console.
 */

const WORDS = {
    "unsupported": ["This browser cannot make calls", "Please use a current Firefox, Chromium, Chrome, Edge or Safari."],
    "no-token": ["There is no ticket for this room", "Open the link you were sent (it ends in ?token=…), or start the server in development mode, where this page may fetch one itself."],
    "token": ["The server does not accept your ticket", "It may have run out, or be for another server. Ask for a new link. (The server said: %)"],
    "refused": ["The server would not let you in", "It said: %"],
    "no-join": ["The server did not open the door", "%: it accepts your ticket, but the connection for the call did not come about. A proxy that lets no WebSocket through can be the cause."],
    "server-gone": ["The server cannot be reached", "Is it running, and is the network up? (%)"],
    "connection-lost": ["The connection was lost", "The server has gone or the network is down. You can join again."],
    "media-blocked": ["Sound and pictures cannot get through", "The server answers, but no media path to it works. A firewall that blocks UDP is the usual cause."],
    "publish": ["The server did not take your %", "You can hear and see the others, but they cannot hear or see this."],
    "no-permission": ["You have not allowed the %", "Press the camera sign in the address bar, allow it and try again, or join with the test picture."],
    "no-device": ["No % was found", "Connect one, or join with the test picture."],
    "device-busy": ["The % is in use", "Another program or tab has it. Close that and try again, or join with the test picture."],
    "insecure": ["The browser gives no camera to this page", "It does so only over https, or on this machine at 127.0.0.1. You can join with the test picture."],
    "DUPLICATE_IDENTITY": ["You joined from elsewhere", "Somebody with your identity came into the room, and each may be there only once. Is it open in another tab?"],
    "PARTICIPANT_REMOVED": ["You were removed from the room", "Somebody in charge of it did that."],
    "ROOM_DELETED": ["The room was closed", "Somebody in charge of it closed it for everybody."],
    "ROOM_CLOSED": ["The room was closed", "Nobody was left in it."],
    "SERVER_SHUTDOWN": ["The server is stopping", "Wait a moment, then join again."],
    "left": ["The server ended the call", "Its reason: %. You can join again."],
};

export class CallError extends Error {
    /** *kind* is one of the words above; another one is shown as the detail of "left". */
    constructor(kind, detail = "") {
        super(kind);
        const known = kind in WORDS;
        const [title, advice] = WORDS[known ? kind : "left"];
        this.kind = kind;
        this.title = title.replace("%", detail);
        this.advice = advice.replace("%", known ? detail || "nothing" : kind);
    }
}

/** An error that the browser gave when asked for a camera or microphone, in our words. */
export function deviceError(error, what) {
    const kind = {
        NotAllowedError: "no-permission", SecurityError: "no-permission",
        NotFoundError: "no-device", OverconstrainedError: "no-device",
        NotReadableError: "device-busy", AbortError: "device-busy",
    }[error.name];
    if (!kind) console.error(error);
    return new CallError(kind ?? "no-device", what);
}
