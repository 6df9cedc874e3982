// A worker in JavaScript (Node.js 18 or later, no packages): brings the action "text.shout".
//
//     node worker.mjs http://127.0.0.1:8989 [token]
//
// The protocol is in docs/reference/worker-protocol.md.
import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";

const [url = "http://127.0.0.1:8989", token] = process.argv.slice(2);

const actions = {
  "text.shout": {
    parameters: ["text", { times: 1 }],
    run: async ({ text, times = 1 }) => ({ said: `${text.toUpperCase()}!`.repeat(times) }),
  },
};

const worker = `${hostname()}-${process.pid}-${randomUUID()}`; // a new id for each start
const running = new Map(); // action id -> its attempt, and what tells it to stop
const held = () => [...running].map(([action_id, { attempt }]) => ({ action_id, attempt }));
let lease = 3;
let polls = 0;

// `body` gives what is sent, anew for each try; a node that doesn't answer in time is given up.
async function call(what, body, seconds = 10) {
  for (;;) {
    try {
      const answer = await fetch(`${url}/v2/workers/${what}`, {
        method: "POST",
        headers: { "content-type": "application/json", ...(token && { "x-auth-token": token }) },
        body: JSON.stringify({ worker_id: worker, ...body() }),
        signal: AbortSignal.timeout(seconds * 1000),
      });
      if (answer.ok) return await answer.json();
      if (answer.status < 500) throw Object.assign(new Error(await answer.text()), { refused: true });
    } catch (error) {
      if (error.refused) throw error;
      console.error(`trying again: ${error.message}`);
    }
    await sleep(1000);
  }
}

async function live(job) {
  const stop = new AbortController();
  running.set(job.action_id, { attempt: job.attempt, stop });
  let outcome;
  try {
    const run = actions[job.name].run;
    outcome = { data: job.dry_run ? null : await run(job.input, stop.signal) };
  } catch (error) {
    outcome = { error: error.message };
  }
  // It stays held until the result is taken, or the next poll would free it for another worker.
  await call("complete", () => ({ action_id: job.action_id, attempt: job.attempt, ...outcome }));
  running.delete(job.action_id);
}

async function beat() {
  for (;;) {
    await sleep((lease * 1000) / 4);
    const { cancelled } = await call("heartbeat", () => ({ held: held() }), Math.max(1, lease / 4));
    for (const { action_id } of cancelled) running.get(action_id)?.stop.abort();
  }
}

async function poll() {
  const brought = Object.entries(actions).map(([name, { parameters }]) => ({ name, parameters }));
  for (;;) {
    const wait = Math.min(20, lease);
    const ask = () => ({ actions: brought, held: held(), limit: 1, wait, poll: ++polls });
    const answer = await call("poll", ask, wait + 10);
    lease = answer.lease_seconds;
    for (const job of answer.jobs) live(job).catch((error) => console.error(error.message));
  }
}

await Promise.all([beat(), poll()]);
