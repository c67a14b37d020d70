// The page: it cuts a file into parts, asks its server for the signed request of each, and sends it to the store.

import { md5 } from "./md5.js";

const $ = (id) => document.getElementById(id);
const form = $("form"), fileInput = $("file"), startButton = $("start"), pauseButton = $("pause"), cancelButton = $("cancel");
const formLimit = Number(document.body.dataset.formLimit), maxFile = Number(document.body.dataset.maxFile);
const attempts = 6; // for a part
const atOnce = 3; // parts, where the store takes them in any order

let file = null; // that was chosen or dropped
let running = null; // the upload: {id, plan, file, have, sent, controller}

// A Failure is an error in words for the user. With fatal there is no use in trying again.
class Failure extends Error {
  constructor(words, fatal = false) {
    super(words);
    this.fatal = fatal;
  }
}

const size = (bytes) => bytes < 1e6 ? `${bytes} bytes` : `${(bytes / 1e6).toFixed(1)} MB`;
const chosen = (name) => form.elements[name].value;
const wait = (ms, signal) => new Promise((done, failed) => {
  setTimeout(done, ms);
  signal.addEventListener("abort", () => failed(signal.reason), { once: true });
});

// say puts words where a screen reader reads them out. Errors interrupt it.
function say(status, error = "") {
  $("status").textContent = status;
  $("error").textContent = error;
}

// call asks the server, and returns its JSON.
async function call(method, path, body) {
  let response;
  try {
    response = await fetch(path, { method, headers: { "Content-Type": "application/json" }, body: body && JSON.stringify(body) });
  } catch {
    throw new Failure("The page's server does not answer.");
  }
  const answer = await response.json();
  if (!response.ok) throw new Failure(sentence(answer.error), response.status >= 400 && response.status < 500 && response.status !== 409);
  return answer;
}

const sentence = (words) => words.charAt(0).toUpperCase() + words.slice(1) + ".";

// send sends a body to the store, and returns the status and the text of the answer. fetch would not tell how much has gone.
function send(request, body, progress, signal) {
  return new Promise((done, failed) => {
    signal.throwIfAborted();
    const xhr = new XMLHttpRequest();
    xhr.open(request.method, request.url);
    for (const [name, value] of Object.entries(request.headers ?? {})) xhr.setRequestHeader(name, value);
    xhr.upload.onprogress = (e) => progress(e.loaded);
    xhr.onload = () => done({ status: xhr.status, text: xhr.responseText });
    xhr.onerror = () => failed(new Failure("The connection to the store broke off."));
    xhr.onabort = () => failed(signal.reason);
    const abort = () => xhr.abort();
    signal.addEventListener("abort", abort, { once: true });
    xhr.onloadend = () => signal.removeEventListener("abort", abort);
    xhr.send(body);
  });
}

// refusal makes words of what a store says.
function refusal(status, text) {
  const code = new DOMParser().parseFromString(text, "text/xml").querySelector("Error > Code")?.textContent ?? "";
  switch (code) {
    case "EntityTooLarge":
      return new Failure(`The store refused the file: it is larger than the ${size(formLimit)} that the form allows. Send it in parts.`, true);
    case "EntityTooSmall":
      return new Failure("The store refused the file: it is too small.", true);
  }
  return new Failure(`The store refused with status ${status}${code && ", " + code}.`);
}

// What is needed to go on after a reload. The file itself must be chosen again.
const saved = {
  get: () => JSON.parse(localStorage.getItem("upload") ?? "null"),
  set: (u, store) => localStorage.setItem("upload", JSON.stringify({ id: u.id, store, name: u.file.name, size: u.file.size, modified: u.file.lastModified })),
  clear: () => localStorage.removeItem("upload"),
  fits: (f) => {
    const s = saved.get();
    return s && f && s.name === f.name && s.size === f.size && s.modified === f.lastModified ? s : null;
  },
};

function choose(f) {
  if (running) return;
  file = f;
  const before = saved.fits(f);
  startButton.textContent = before ? "Go on" : "Upload";
  if (before) form.elements.store.value = before.store;
  $("hint").textContent = f ? `${f.name}, ${size(f.size)}` : "Choose a file, or drop one here.";
  say(before ? "A part of this file is in the store already." : "");
}

// show draws how far the upload is, and says it at every quarter.
function show(u) {
  let bytes = 0;
  for (const n of u.have) bytes += range(u.plan, n)[1];
  for (const [n, sent] of u.sent) if (!u.have.has(n)) bytes += Math.min(sent, range(u.plan, n)[1]);
  const share = bytes / u.plan.size;
  $("progress").hidden = false;
  $("progress").value = share;
  $("amount").textContent = `${size(bytes)} of ${size(u.plan.size)}`;
  const quarter = Math.floor(share * 4);
  if (quarter > u.said && quarter < 4) say(`${quarter * 25} percent of ${u.file.name} sent.`);
  u.said = Math.max(u.said, quarter);
}

// range is where a part begins, and how long it is.
function range(plan, n) {
  const offset = (n - 1) * plan.partSize;
  return [offset, Math.min(plan.partSize, plan.size - offset)];
}

// sendPart sends a part until the store has it. Every attempt gets a request of its own, so that one that has expired does not
// matter.
async function sendPart(u, n) {
  const [offset, length] = range(u.plan, n);
  const bytes = u.file.slice(offset, offset + length);
  const digest = md5(await bytes.arrayBuffer());
  for (let attempt = 1; ; attempt++) {
    u.controller.signal.throwIfAborted();
    try {
      const request = await call("POST", `/uploads/${u.id}/parts/${n}`, { md5: digest });
      const { status, text } = await send(request, bytes, (sent) => { u.sent.set(n, sent); show(u); }, u.controller.signal);
      if (status >= 200 && status < 300 || status === 308) { // 308: Cloud Storage waits for more
        u.have.add(n);
        show(u);
        return;
      }
      throw refusal(status, text);
    } catch (problem) {
      u.sent.delete(n);
      u.retries++;
      if (u.controller.signal.aborted || problem.fatal || attempt === attempts) throw problem;
      await wait(200 * 2 ** attempt, u.controller.signal);
    }
  }
}

// sendAll sends what the store does not have.
async function sendAll(u) {
  const missing = [];
  for (let n = 1; n <= u.plan.parts; n++) if (!u.have.has(n)) missing.push(n);
  const worker = async () => {
    while (missing.length > 0) await sendPart(u, missing.shift());
  };
  const workers = Array.from({ length: u.plan.sequential ? 1 : atOnce }, worker);
  try {
    await Promise.all(workers);
  } catch (problem) {
    u.controller.abort(problem);
    await Promise.allSettled(workers);
    throw problem;
  }
}

// inParts uploads the file, from where it is if the server knows it.
async function inParts(f) {
  const u = { file: f, have: new Set(), sent: new Map(), controller: new AbortController(), retries: 0, said: 0 };
  running = u;
  const before = saved.fits(f);
  if (before) {
    u.id = before.id;
    try {
      const state = await call("GET", `/uploads/${u.id}`);
      u.plan = state.plan;
      u.have = new Set(state.have);
    } catch (problem) {
      if (!problem.fatal) throw problem;
      saved.clear(); // nobody knows it any more
    }
  }
  if (!u.plan) {
    const begun = await call("POST", "/uploads", { store: chosen("store"), name: f.name, size: f.size, type: f.type });
    u.id = begun.id;
    u.plan = begun.plan;
    saved.set(u, chosen("store"));
  }
  document.body.dataset.resumed = u.have.size; // for those who watch
  show(u);
  await sendAll(u);
  say("All parts are sent. The store puts them together.");
  const arrived = await call("POST", `/uploads/${u.id}/complete`);
  saved.clear();
  document.body.dataset.retries = u.retries;
  return arrived;
}

// byForm uploads the file in one piece, with a form that was signed for it.
async function byForm(f) {
  const u = { file: f, plan: { size: f.size, partSize: f.size, parts: 1 }, have: new Set(), sent: new Map(), controller: new AbortController(), said: 0 };
  running = u;
  const signed = await call("POST", "/forms", { store: chosen("store"), name: f.name, size: f.size, type: f.type });
  const data = new FormData();
  for (const field of signed.form.fields) data.append(field.name, field.value);
  data.append("file", f);
  show(u);
  const { status, text } = await send(signed.form, data, (sent) => { u.sent.set(1, sent); show(u); }, u.controller.signal);
  if (status < 200 || status > 299) throw refusal(status, text);
  u.have.add(1);
  show(u);
  return signed.arrived;
}

// buttons shows those that do something now, and keeps the focus on one that is there.
function buttons(active) {
  const had = document.activeElement;
  startButton.hidden = active;
  pauseButton.hidden = !active || chosen("way") === "form";
  cancelButton.hidden = !active && !saved.get();
  for (const set of [$("stores"), $("ways")]) set.disabled = active;
  fileInput.disabled = active;
  if (had.hidden) (active ? (pauseButton.hidden ? cancelButton : pauseButton) : startButton).focus();
}

async function upload() {
  if (running) return;
  $("result").hidden = true;
  if (!file) return say("", "Choose a file first.");
  if (file.size === 0) return say("", "The file is empty.");
  if (file.size > maxFile) return say("", `The file has ${size(file.size)}, and ${size(maxFile)} are taken.`);
  say(`Uploading ${file.name}.`);
  buttons(true);
  try {
    const arrived = await (chosen("way") === "form" ? byForm(file) : inParts(file));
    say(`${file.name} has arrived.`);
    $("link").href = arrived.url;
    $("result").hidden = false;
    startButton.textContent = "Upload";
  } catch (problem) {
    $("progress").hidden = chosen("way") === "form";
    switch (problem) {
      case "pause":
        say("Paused.");
        break;
      case "cancel":
        say("Cancelled.");
        break;
      default:
        say("", problem instanceof Failure ? problem.message : `Something is wrong with this page: ${problem}`);
        if (problem.fatal) saved.clear();
    }
    startButton.textContent = saved.fits(file) ? "Go on" : "Upload";
  }
  running = null;
  buttons(false);
}

async function cancel() {
  const id = running?.id ?? saved.get()?.id;
  running?.controller.abort("cancel");
  saved.clear();
  if (id) await call("DELETE", `/uploads/${id}`).catch(() => {}); // the store cleans up what is left
  if (running) return;
  choose(file);
  say("Cancelled.");
  $("progress").hidden = true;
  $("amount").textContent = "";
  buttons(false);
}

form.addEventListener("submit", (e) => { e.preventDefault(); upload(); });
pauseButton.addEventListener("click", () => running?.controller.abort("pause"));
cancelButton.addEventListener("click", cancel);
fileInput.addEventListener("change", () => choose(fileInput.files[0] ?? null));

const drop = $("drop");
drop.addEventListener("dragover", (e) => { e.preventDefault(); drop.classList.add("over"); });
drop.addEventListener("dragleave", () => drop.classList.remove("over"));
drop.addEventListener("drop", (e) => {
  e.preventDefault();
  drop.classList.remove("over");
  choose(e.dataTransfer.files[0] ?? null);
});

$("limit").textContent = size(formLimit);
if (saved.get()) {
  say(`An upload of ${saved.get().name} was interrupted. Choose the same file to go on.`);
  buttons(false);
}
