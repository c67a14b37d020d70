// Signs URLs with @google-cloud/storage, and sends requests with fetch. It reads a task a line from its standard input, each
// {"sign": ...} or {"fetch": ...} in JSON, answers each with a line, and ends with its input. The argument is the directory
// where the packages are.

import {createRequire} from 'node:module';
import {createInterface} from 'node:readline';
import {join} from 'node:path';

const require = createRequire(join(process.argv[2], 'package.json'));
const {Storage} = require('@google-cloud/storage');

// sign makes a signed URL of a file, or of the bucket if there is no key.
async function sign({account, storage, bucket, key, options}) {
  const b = new Storage({projectId: 'none', credentials: account, ...storage}).bucket(bucket);
  const [url] = await (key ? b.file(key) : b).getSignedUrl({version: 'v4', ...options});
  return {url};
}

async function send({method, url, headers, body}) {
  const resp = await fetch(url, {method, headers, body: body === null ? undefined : Buffer.from(body, 'base64'), redirect: 'manual'});
  return {status: resp.status, headers: [...resp.headers], body: Buffer.from(await resp.arrayBuffer()).toString('base64')};
}

for await (const line of createInterface({input: process.stdin})) {
  const task = JSON.parse(line);
  let answer;
  try {
    answer = task.sign ? await sign(task.sign) : task.fetch ? await send(task.fetch) : {};
  } catch (e) {
    answer = {error: e.cause ? `${e.message}: ${e.cause.message}` : e.message};
  }
  process.stdout.write(JSON.stringify(answer) + '\n');
}
