/* The page: a form, a call, and the words for what goes wrong. Start reading here.
 *
 *   main.js         this: what the buttons do
 *   call.js         one call: signalling, peer connections, participants, chat
 *   signalling.js   the WebSocket and its JSON
 *   messages.js     the messages, and a small Protocol Buffers
 *   devices.js      camera and microphone; picture.js draws their stand-ins
 *   view.js         tiles and chat
 *   errors.js       words
 *
 * In the address: ?room= and ?name= fill the form; ?token= is a ticket that somebody made for you
 * (it fixes room and name); ?picture chooses the test picture; ?url= names another server.
 */

import { Call, LONGEST_TEXT } from "./call.js";
import { Devices } from "./devices.js";
import { CallError } from "./errors.js";
import { Grid, addText } from "./view.js";

const $ = (id) => document.getElementById(id);
const parameters = new URLSearchParams(location.search);
const server = parameters.get("url") ?? location.origin;
const form = $("join").elements;
const grid = new Grid($("grid"), (sid, width, height) => call?.show(sid, width, height));
let call = null;
let devices = null;

// --- before the call ---

function prepare() {
    form.name.value = parameters.get("name") ?? localStorage.getItem("name") ?? "";
    form.room.value = parameters.get("room") ?? "lobby";
    if (parameters.has("picture")) form.choice.value = "picture";
    const ticket = read(parameters.get("token"));
    if (ticket) {
        form.name.value = ticket.name || ticket.sub;
        form.room.value = ticket.video?.room ?? "";
        $("name-field").hidden = $("room-field").hidden = true;
        $("invitation").hidden = false;
        $("invitation").textContent = `You are invited to “${form.room.value}” as ${form.name.value}.`;
    }
    if (!("RTCPeerConnection" in window && "ResizeObserver" in window)) {
        complain(new CallError("unsupported"));
        document.querySelector("#join button").disabled = true;
    }
}

/* What a token says. Only the server can tell whether it is true; we only fill the form with it. */
function read(token) {
    try {
        const [, claims] = token.split(".");
        const bytes = atob(claims.replaceAll("-", "+").replaceAll("_", "/"));
        return JSON.parse(new TextDecoder().decode(Uint8Array.from(bytes, (one) => one.charCodeAt(0))));
    } catch {
        return null;
    }
}

/* A server in development mode hands out tickets to anybody. Each visit gets an identity of its
 * own: two people may have one name, but the same identity twice would throw the first one out. */
async function ticket(room, name) {
    if (parameters.get("token")) return parameters.get("token");
    const identity = `${name}-${crypto.getRandomValues(new Uint32Array(1))[0].toString(36)}`;
    const url = new URL("token", import.meta.url);
    url.search = new URLSearchParams({ room, identity, name });
    const answer = await fetch(url).catch(() => { throw new CallError("server-gone", url.host); });
    if (!answer.ok) throw new CallError("no-token");
    return (await answer.json()).token;
}

async function join() {
    const name = form.name.value.trim(), room = form.room.value.trim();
    $("trouble").hidden = true;
    localStorage.setItem("name", name);
    devices = new Devices(form.choice.value, name);
    const sources = {};
    try {
        // Devices first: a person is asked for permission before anybody sees them come in.
        sources.MICROPHONE = await orNot(devices.microphone(), "Nobody hears you.", () => null);
        sources.CAMERA = await orNot(devices.camera(), "The others see a test picture.", () => {
            devices.choice = "picture";
            return devices.camera();
        });
        call = new Call();
        call.onChange = draw;
        call.onText = showText;
        call.onEnd = (error) => { end(); complain(error); };
        await call.join(server, await ticket(room, name));
    } catch (error) {
        for (const source of Object.values(sources)) source?.stop();
        throw error;
    }
    $("lobby").hidden = true;
    $("call").hidden = false;
    draw();
    for (const [source, media] of Object.entries(sources)) {
        if (media) await call.publish(media, source).catch((error) => notice(`${error.title}. ${error.advice}`));
    }
}

/* A device that does not exist is no reason to stay out; one that may not be used is for the person
 * to decide. */
async function orNot(asked, consequence, instead) {
    try {
        return await asked;
    } catch (error) {
        if (error.kind !== "no-device") throw error;
        notice(`${error.title}. ${consequence}`);
        return instead();
    }
}

function complain(error) {
    if (!(error instanceof CallError)) {
        console.error(error);
        error = new CallError("left", error.message);
    }
    const [title, advice] = $("trouble").children;
    title.textContent = error.title + ".";
    advice.textContent = error.advice;
    $("trouble").hidden = false;
}

// --- in the call ---

function draw() {
    grid.draw(call.participants);
    $("room-name").textContent = call.room;
    const others = call.participants.size - 1;
    $("head-count").textContent = others === 0 ? "nobody else is here yet" : `you and ${others} more`;
    for (const [button, source] of [[$("microphone"), "MICROPHONE"], [$("camera"), "CAMERA"]]) {
        const track = call.participants.get(call.me)?.tracks.get(source);
        button.disabled = !track;
        button.setAttribute("aria-pressed", String(Boolean(track?.muted)));
        button.title = !track ? "You take part without" : track.muted ? "Switch on" : "Switch off";
    }
    document.querySelector("#say button").disabled = !call.canSendText;
}

async function toggle(source) {
    const published = call.published.get(source);
    const muted = !call.participants.get(call.me).tracks.get(source).muted;
    let media = null;
    if (source === "CAMERA" && devices.hasLight) {
        if (muted) published.media.stop();
        else media = await devices.camera();
    }
    await call.setMuted(source, muted, media);
}

function showText(text) {
    addText($("texts"), text);
    if ($("chat").hidden) $("chat-button").classList.add("news");
}

function showChat(open) {
    $("chat").hidden = !open;
    $("chat-button").setAttribute("aria-expanded", String(open));
    $("chat-button").classList.remove("news");
    if (open) document.querySelector("#say input").focus();
}

/* Something to know that stops nothing: shown for a while, below what is still there. */
function notice(text) {
    const line = document.createElement("span");
    line.textContent = text;
    $("notices").append(line);
    setTimeout(() => line.remove(), 8000);
}

function end() {
    for (const { media } of call?.published.values() ?? []) media.stop();
    grid.clear();
    $("texts").replaceChildren();
    showChat(false);
    $("call").hidden = true;
    $("lobby").hidden = false;
}

// --- what the person does ---

$("join").onsubmit = async (event) => {
    event.preventDefault();
    const button = event.submitter ?? document.querySelector("#join button");
    button.disabled = true;
    await join().catch(complain);
    button.disabled = false;
};
$("microphone").onclick = () => toggle("MICROPHONE").catch((error) => notice(error.title ?? String(error)));
$("camera").onclick = () => toggle("CAMERA").catch((error) => notice(error.title ?? String(error)));
$("chat-button").onclick = () => showChat($("chat").hidden);
$("leave").onclick = () => { call.leave(); end(); };
$("say").onsubmit = (event) => {
    event.preventDefault();
    const input = $("say").elements.text;
    const text = input.value.trim().slice(0, LONGEST_TEXT);
    if (text && call.canSendText) call.sendText(text);
    input.value = "";
};
addEventListener("pagehide", () => call?.leave());   // so that the others need not wait for a time-out

prepare();
