/**
 * The reference: Node's own `http`. Reads paths of cases on stdin, a line each, asks the server on
 * the port of its first argument for them, and prints what it made of each as a line of JSON.
 */

import http from "node:http";
import readline from "node:readline";
import zlib from "node:zlib";
import { Buffer } from "node:buffer";

const port = Number(process.argv[2]);
const timeoutMs = Number(process.argv[3]);
const maxBodyBytes = Number(process.argv[4]);

for await (const line of readline.createInterface({ input: process.stdin })) ask(line);

function ask(path) {
  let isDone = false;
  const done = (outcome) => {
    if (isDone) return;
    isDone = true;
    clearTimeout(timer);
    request.destroy();
    process.stdout.write(`${JSON.stringify({ path, ...outcome })}\n`);
  };
  const options = {
    host: "127.0.0.1",
    port,
    path: `/${path}`,
    agent: false,
    maxHeaderSize: 32_768,
  };
  const request = http.get(options, (response) => {
    const parts = [];
    let length = 0;
    response.on("data", (part) => {
      parts.push(part);
      length += part.length;
      if (length > maxBodyBytes) done({ error: "too long" });
    });
    response.on("end", () => done(readBody(response, Buffer.concat(parts))));
    response.on("error", (error) => done({ error: error.code ?? error.message }));
  });
  request.on("error", (error) => done({ error: error.code ?? error.message }));
  const timer = setTimeout(() => done({ error: "timeout" }), timeoutMs);
}

function readBody({ statusCode: status, headers }, bytes) {
  try {
    const isPacked = headers["content-encoding"] === "gzip" && bytes.length > 0;
    const body = isPacked ? zlib.gunzipSync(bytes, { maxOutputLength: maxBodyBytes }) : bytes;
    return { status, body: body.toString("utf8") };
  } catch (error) {
    return { error: error.code ?? error.message };
  }
}
