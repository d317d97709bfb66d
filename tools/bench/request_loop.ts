/**
 * The baseline of `drain.ts`: sends so many requests of an event's size to a server, eight at a time over
 * connections that are kept alive, and keeps nothing. Prints its CPU time for each, in microseconds.
 *
 * Arguments: the server's address, how many, and the length of a body.
 */

import { Agent, request } from "node:http";
import process from "node:process";

const AT_ONCE = 8;

function send(url: string, body: string, agent: Agent): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { "Content-Type": "application/json", "Content-Length": body.length };
    const sent = request(url, { method: "POST", agent, headers }, (answer) => {
      answer.resume();
      answer.on("end", resolve);
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

if (import.meta.main) {
  const [url = "", count = "", length = ""] = Deno.args;
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
  const body = JSON.stringify({ text: "x".repeat(Number(length)) });
  let left = Number(count);
  const worker = async () => {
    while (left > 0) {
      left -= 1;
      await send(`${url}/api/v1/agents/a/logs`, body, agent);
    }
  };
  const before = process.cpuUsage();
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  const { user, system } = process.cpuUsage(before);
  console.log((user + system) / Number(count));
  agent.destroy();
}
