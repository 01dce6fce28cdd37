// Checks webhooks with npm's livekit-server-sdk: a line of JSON in, a line of JSON out.
import { createInterface } from "node:readline";
import { WebhookReceiver } from "livekit-server-sdk";

const receivers = new Map();

for await (const line of createInterface({ input: process.stdin })) {
    const { key, secret, body, token } = JSON.parse(line);
    const id = `${key} ${secret}`;
    if (!receivers.has(id)) receivers.set(id, new WebhookReceiver(key, secret));
    try {
        const event = await receivers.get(id).receive(body, token);
        const { id: sid, event: name, room, participant, track } = event;
        const found = { id: sid, event: name, room: room?.name, participant: participant?.identity, track: track?.sid };
        console.log(JSON.stringify(found));
    } catch (error) {
        console.log(JSON.stringify({ error: String(error) }));
    }
}
