// Calls a server with npm's livekit-server-sdk: a line of JSON in, a line of JSON out.
import { createInterface } from "node:readline";
import { AgentDispatchClient, EgressClient, IngressClient, RoomServiceClient, SipClient } from "livekit-server-sdk";

const [url, key, secret] = process.argv.slice(2);
const methods = {
    CreateRoom: (api, q) => api.rooms.createRoom(q),
    ListRooms: (api, q) => api.rooms.listRooms(q.names),
    DeleteRoom: (api, q) => api.rooms.deleteRoom(q.room),
    UpdateRoomMetadata: (api, q) => api.rooms.updateRoomMetadata(q.room, q.metadata),
    ListParticipants: (api, q) => api.rooms.listParticipants(q.room),
    GetParticipant: (api, q) => api.rooms.getParticipant(q.room, q.identity),
    RemoveParticipant: (api, q) => api.rooms.removeParticipant(q.room, q.identity),
    ForwardParticipant: (api, q) => api.rooms.forwardParticipant(q.room, q.identity, q.destinationRoom),
    MoveParticipant: (api, q) => api.rooms.moveParticipant(q.room, q.identity, q.destinationRoom),
    MutePublishedTrack: (api, q) => api.rooms.mutePublishedTrack(q.room, q.identity, q.trackSid, q.muted ?? false),
    UpdateParticipant: (api, q) => api.rooms.updateParticipant(q.room, q.identity, q),
    UpdateSubscriptions: (api, q) => api.rooms.updateSubscriptions(q.room, q.identity, q.trackSids, q.subscribe ?? false),
    SendData: (api, q) => api.rooms.sendData(q.room, Buffer.from(q.data, "base64"), 0, q),
    CreateDispatch: (api, q) => api.agents.createDispatch(q.room, q.agentName, q),
    DeleteDispatch: (api, q) => api.agents.deleteDispatch(q.dispatchId, q.room),
    ListDispatch: (api, q) => api.agents.listDispatch(q.room),
    ListEgress: (api) => api.egress.listEgress(),
    ListIngress: (api) => api.ingress.listIngress(),
    ListSIPInboundTrunk: (api) => api.sip.listSipInboundTrunk(),
};

const make = (...given) => ({
    rooms: new RoomServiceClient(url, ...given),
    agents: new AgentDispatchClient(url, ...given),
    egress: new EgressClient(url, ...given),
    ingress: new IngressClient(url, ...given),
    sip: new SipClient(url, ...given),
});
const apis = { right: make(key, secret), wrong: make(key, `${secret}, but another`) };

const plain = (value) => {
    if (Array.isArray(value)) return value.map(plain);
    return value && typeof value.toJson === "function" ? value.toJson() : value;
};

for await (const line of createInterface({ input: process.stdin })) {
    const { method, fields, secret: which } = JSON.parse(line);
    try {
        const answer = plain(await methods[method](apis[which], fields));
        console.log(JSON.stringify({ answer: answer ?? null }));
    } catch (error) {
        console.log(JSON.stringify({ status: error.status ?? 0, code: error.code ?? "", text: error.message }));
    }
}
