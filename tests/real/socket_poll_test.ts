/** The event loop takes note of what the system has received, without a timer. */

import { assert, assertEquals } from "@std/assert";
import { SocketPoll } from "../../src/system/real/http/socket_poll.ts";

/** Two ends of a connection, to be received on and written to. */
async function openEnds() {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepting = listener.accept();
  const here = await Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port });
  return { here, there: await accepting };
}

function block(ms: number): void {
  const endMs = performance.now() + ms;
  while (performance.now() < endMs) { /* the event loop stands still */ }
}

Deno.test("after poll() everything is known that had arrived before it, also when polls overlap", async () => {
  const sockets = new SocketPoll();
  const { here, there } = await openEnds();
  const buffer = new Uint8Array(8);
  for (let round = 0; round < 100; round++) {
    let isKnown = false;
    const reading = here.read(buffer).then(() => isKnown = true);
    await sockets.poll(); // The read waits for the system now.
    const earlier = round % 3 === 0 ? sockets.poll() : Promise.resolve();
    await Promise.resolve();
    await there.write(new Uint8Array([1]));
    block(round % 4);
    const polls = Array.from({ length: round % 5 }, () => sockets.poll());
    await sockets.poll();
    assert(isKnown, `round ${round}`);
    await Promise.all([reading, earlier, ...polls]);
  }
  for (const one of [here, there]) one.close();
  sockets.close();
});

Deno.test("poll() goes on after its sockets were closed, in the middle of it too", async () => {
  const sockets = new SocketPoll();
  for (let round = 0; round < 20; round++) {
    const polling = [sockets.poll(), sockets.poll()];
    if (round % 2 === 0) await polling[0];
    polling.push(sockets.poll());
    sockets.close();
    await Promise.all(polling);
  }
  sockets.close();
});

Deno.test("poll() takes note of the same by timers where no connection within the host is allowed", async () => {
  const { here, there } = await openEnds();
  const listen = Deno.listen;
  let asked = 0;
  Object.assign(Deno, {
    listen() {
      asked += 1;
      throw new Deno.errors.PermissionDenied("no");
    },
  });
  try {
    const sockets = new SocketPoll();
    for (let round = 0; round < 5; round++) {
      let isKnown = false;
      const reading = here.read(new Uint8Array(8)).then(() => isKnown = true);
      await sockets.poll();
      await there.write(new Uint8Array([1]));
      await sockets.poll();
      assert(isKnown);
      await reading;
    }
    assertEquals(asked, 1, "it is tried once");
  } finally {
    Object.assign(Deno, { listen });
    for (const one of [here, there]) one.close();
  }
});
