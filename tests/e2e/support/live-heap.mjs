/* global fetch, performance, WebSocket */
/**
 * Prints how many bytes a Node process holds on to, once it has collected its garbage: what it takes of the machine's
 * memory says as much about how lazily it collects.
 *
 * Argument: the process's id. Its inspector is opened (SIGUSR1) on the loopback, and stays open.
 */
import { setTimeout as pause } from "node:timers/promises";

const pid = Number(process.argv[2]);

/** Longest wait for the inspector, in milliseconds. */
const WAIT_MS = 60_000;

async function inspectorUrl() {
  process.kill(pid, "SIGUSR1");
  const end = performance.now() + WAIT_MS;
  for (;;) {
    try {
      const [target] = await (await fetch("http://127.0.0.1:9229/json/list")).json();
      return target.webSocketDebuggerUrl;
    } catch (error) {
      if (performance.now() > end) throw error;
      await pause(20);
    }
  }
}

const socket = new WebSocket(await inspectorUrl());
await new Promise((resolve) => socket.addEventListener("open", resolve, { once: true }));

function ask(id, method, params = {}) {
  return new Promise((resolve, reject) => {
    socket.addEventListener("message", ({ data }) => {
      const { id: answered, result, error } = JSON.parse(data);
      if (answered !== id) return;
      if (error) reject(new Error(`${method}: ${error.message}`));
      else resolve(result);
    });
    socket.send(JSON.stringify({ id, method, params }));
  });
}

await ask(1, "HeapProfiler.collectGarbage");
const expression = "(({ heapUsed, external }) => heapUsed + external)(process.memoryUsage())";
const { result } = await ask(2, "Runtime.evaluate", { expression });
console.log(result.value);
socket.close();
