// @ts-check
"use strict";

const { createHash } = require("node:crypto");

/** What the answer to a client's key is made of (RFC 6455). */
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/** First bytes of frames that are whole messages. */
const TEXT = 0x81;
const CLOSE = 0x88;
/** Close code of a server that goes away. */
const GOING_AWAY = 1001;
/** Longest message that is read: with the colour before it, its length still stands in the frame's second byte. */
const LONGEST_MESSAGE = 100;

/** @type {Set<import("node:stream").Duplex>} */
const open = new Set();

/**
 * @param {number} kind
 * @param {Buffer} content
 */
function frame(kind, content) {
  return Buffer.concat([Buffer.from([kind, content.length]), content]);
}

/**
 * The whole frame at the start of `bytes`, its mask taken off; null where it is not all there yet.
 * @param {Buffer} bytes
 * @throws {Error} for one that this server does not read
 */
function firstFrame(bytes) {
  if (bytes.length < 2) return null;
  const [kind = 0, lengthByte = 0] = bytes;
  const size = lengthByte & 0x7f;
  if ((lengthByte & 0x80) === 0 || size > LONGEST_MESSAGE) throw new Error("no client's short message");
  const length = 6 + size;
  if (bytes.length < length) return null;
  const mask = bytes.subarray(2, 6);
  const content = Buffer.from(bytes.subarray(6, length).map((byte, index) => byte ^ (mask[index % 4] ?? 0)));
  return { kind, content, length };
}

/**
 * Answers a request to become a WebSocket: each text message comes back behind `name`, and a close is answered.
 * @param {import("node:http").IncomingMessage} request
 * @param {import("node:stream").Duplex} socket
 * @param {string} name
 */
function echo(request, socket, name) {
  const key = request.headers["sec-websocket-key"] ?? "";
  const accept = createHash("sha1")
    .update(key + GUID)
    .digest("base64");
  socket.write(
    "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n" +
      `sec-websocket-accept: ${accept}\r\n\r\n`,
  );
  open.add(socket);
  socket.on("close", () => open.delete(socket));
  socket.on("error", () => socket.destroy());
  let bytes = Buffer.alloc(0);
  socket.on("data", (/** @type {Buffer} */ chunk) => {
    bytes = Buffer.concat([bytes, chunk]);
    try {
      for (let first = firstFrame(bytes); first !== null; first = firstFrame(bytes)) {
        bytes = bytes.subarray(first.length);
        if (first.kind === CLOSE) socket.end(frame(CLOSE, first.content));
        else socket.write(frame(TEXT, Buffer.concat([Buffer.from(`${name} `), first.content])));
      }
    } catch {
      socket.destroy();
    }
  });
}

/** Ends all WebSockets, as a server does that goes away. */
function closeAll() {
  const code = Buffer.alloc(2);
  code.writeUInt16BE(GOING_AWAY);
  for (const socket of open) socket.end(frame(CLOSE, code));
}

module.exports = { echo, closeAll };
