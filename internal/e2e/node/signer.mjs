// Signs URLs with @google-cloud/storage, talks to a store with ali-oss, and sends requests with fetch. It reads a task a line from
// its standard input, each {"sign": ...}, {"form": ...}, {"oss": ...} or {"fetch": ...} in JSON, answers each with a line, and ends with
// its input.
// The argument is the directory where the packages are.

import {createRequire} from 'node:module';
import {createInterface} from 'node:readline';
import {join} from 'node:path';

const require = createRequire(join(process.argv[2], 'package.json'));
const {Storage} = require('@google-cloud/storage');
const OSS = require('ali-oss');

// sign makes a signed URL of a file, or of the bucket if there is no key.
async function sign({account, storage, bucket, key, options}) {
  const b = new Storage({projectId: 'none', credentials: account, ...storage}).bucket(bucket);
  const [url] = await (key ? b.file(key) : b).getSignedUrl({version: 'v4', ...options});
  return {url};
}

// form makes a signed form for a file.
async function form({account, storage, bucket, key, options}) {
  const [{url, fields}] = await new Storage({projectId: 'none', credentials: account, ...storage}).bucket(bucket).file(key).generateSignedPostPolicyV4(options);
  return {url, fields};
}

// oss does one thing with ali-oss and V4 signatures. What the service refuses is a result, not an error.
async function oss({options, op, key, body, header, prefix, method, expires, policy, date}) {
  const client = new OSS({authorizationV4: true, secure: false, retryMax: 0, ...options});
  const data = body == null ? undefined : Buffer.from(body, 'base64');
  try {
    switch (op) {
      case 'put': await client.put(key, data, {headers: header}); return {};
      case 'get': return {body: (await client.get(key)).content.toString('base64')};
      case 'list': return {names: ((await client.listV2({prefix, 'max-keys': 100})).objects ?? []).map(o => o.name)};
      case 'delete': await client.delete(key); return {};
      case 'multipart': await client.multipartUpload(key, data, {partSize: 102400, parallel: 2}); return {};
      case 'presign': return {url: await client.signatureUrlV4(method, expires, {headers: header ?? {}}, key)};
      case 'form': return {signature: client.signPostObjectPolicyV4(policy, new Date(date))};
    }
  } catch (e) {
    return {code: e.code, ec: e.ecCode ?? '', message: e.message};
  }
  throw new Error(`no operation ${op}`);
}

async function send({method, url, headers, body}) {
  const resp = await fetch(url, {method, headers, body: body === null ? undefined : Buffer.from(body, 'base64'), redirect: 'manual'});
  return {status: resp.status, headers: [...resp.headers], body: Buffer.from(await resp.arrayBuffer()).toString('base64')};
}

for await (const line of createInterface({input: process.stdin})) {
  const task = JSON.parse(line);
  let answer;
  try {
    answer = task.sign ? await sign(task.sign) : task.form ? await form(task.form) : task.oss ? await oss(task.oss) : task.fetch ? await send(task.fetch) : {};
  } catch (e) {
    answer = {error: e.cause ? `${e.message}: ${e.cause.message}` : e.message};
  }
  process.stdout.write(JSON.stringify(answer) + '\n');
}
