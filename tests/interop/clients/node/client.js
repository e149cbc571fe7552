// celery-node, in both message protocols: client.js BROKER
"use strict";
const assert = require("node:assert");
const celery = require("celery-node");

async function raised(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("no error was raised");
}

async function talk(protocol) {
  const client = celery.createClient(process.argv[2], process.argv[2]);
  client.conf.TASK_PROTOCOL = protocol;
  const run = (name, args, kwargs = {}) => client.createTask(name).applyAsync(args, kwargs).get(20000, 20);
  const odd = { "zażółć": ["\u{1F600}", "\u0000\u2029", { deep: [[], {}, null] }], n: -2.25 };
  assert.deepStrictEqual(await run("interop.echo", [odd]), odd);
  assert.deepStrictEqual(await run("interop.collect", ["a"], { b: 1 }), { args: ["a"], kwargs: { b: 1 } });
  assert.deepStrictEqual(await run("interop.retry", ["v", 2]), ["v", 2]);
  const error = await raised(run("interop.fail", ["KeyError", ["from node"]]));
  assert.strictEqual(error.exc_type, "KeyError");
  assert.deepStrictEqual(error.exc_message, ["from node"]);
  const sums = await Promise.all([...Array(200).keys()].map((n) => run("interop.add", [n, 1])));
  sums.forEach((sum, n) => assert.strictEqual(sum, n + 1));
  client.disconnect();
  console.log(`celery-node, protocol ${protocol}: 204 tasks`);
}

talk(2).then(() => talk(1)).then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
