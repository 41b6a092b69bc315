// The review page: shows one sample at a time and sends labels. What comes from the server is put in as text only.
"use strict";

const byId = (id) => document.getElementById(id);
const LABEL_KEYS = { a: "accept", r: "reject", u: "unsure" };
const STATUS_KEYS = { 1: "accepted", 2: "rejected", 3: "unscored", 0: "" };
const TYPING_PAUSE_MS = 150;
const MARKS = { accept: "✓", reject: "✗", unsure: "?" };
const SQL_PARTS = /('(?:[^']|'')*')|\b(\d+(?:\.\d+)?)\b|\b(select|from|where|group|by|order|having|join|left|right|inner|outer|full|cross|on|using|as|and|or|not|in|is|null|like|ilike|between|case|when|then|else|end|distinct|limit|offset|with|union|intersect|except|all|exists|over|partition|asc|desc|cast|date|interval|count|sum|avg|min|max)\b/gi;

const state = { session: null, shown: [], place: 0, drafts: new Map(), picked: new Set(), isBusy: false, marked: null, typing: 0 };

const current = () => state.shown[state.place];

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("the server does not answer; is 'distill review' still running?");
  }
  const data = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(data.error || `the server answers ${answer.status}`);
  return data;
}

function tellTrouble(words) {
  byId("trouble").textContent = words;
  byId("trouble").hidden = !words;
}

function make(tag, text, name) {
  const element = document.createElement(tag);
  element.textContent = text;
  if (name) element.className = name;
  return element;
}

function applyFilters() {
  const kept = current();
  const [status, said, words] = ["status", "said", "search"].map((id) => byId(id).value);
  state.shown = state.session.samples.filter((sample) =>
    (!status || sample.status === status)
    && (!said || (said === "open" ? !sample.label : sample.label === said))
    && sample.question.toLowerCase().includes(words.toLowerCase()));
  state.place = Math.max(0, state.shown.indexOf(kept));
  drawList();
  return showSample();
}

function drawList() {
  state.marked = null;
  byId("list").replaceChildren(...state.shown.map((sample, place) => {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.tabIndex = -1;
    button.append(make("span", "", ""), make("span", sample.question || "(no question)", "words"));
    button.addEventListener("click", () => { state.picked.add(sample.sample_id); goTo(place); });
    item.append(button);
    markLabel(item, sample);
    return item;
  }));
  drawCount();
}

function markLabel(item, sample) {
  const mark = item.querySelector("span");
  mark.textContent = MARKS[sample.label] || "";
  mark.className = sample.label;
}

function drawCount() {
  const n = state.session.samples.filter((sample) => sample.label).length;
  const total = state.session.samples.length;
  byId("progress").max = total;
  byId("progress").value = n;
  byId("count").textContent = `${n} of ${total} labelled`;
}

function markPlace() {
  if (state.marked) {
    state.marked.tabIndex = -1;
    state.marked.removeAttribute("aria-current");
  }
  state.marked = byId("list").children[state.place]?.firstElementChild;
  if (!state.marked) return;
  state.marked.tabIndex = 0;
  state.marked.setAttribute("aria-current", "true");
  state.marked.scrollIntoView({ block: "nearest" });
}

function howDrawn(sample) {
  return state.session.drawn === "chosen" || byId("search").value || state.picked.has(sample.sample_id) ? "chosen" : "random";
}

async function showSample() {
  const sample = current();
  markPlace();
  byId("sample").hidden = !sample;
  document.querySelectorAll("footer button, footer textarea").forEach((control) => { control.disabled = !sample; });
  tellTrouble(sample ? "" : "No sample fits the filters.");
  if (!sample) return;
  showComment(sample);
  let detail;
  try {
    detail = await ask(`/api/samples/${encodeURIComponent(sample.sample_id)}`);
  } catch (error) {
    byId("sample").hidden = true;
    tellTrouble(error.message);
    return;
  }
  if (sample !== current()) return;
  drawDetail(sample, detail);
}

// The comment is known before the server answers, and what is typed while it does stays.
function showComment(sample) {
  byId("comment").value = state.drafts.get(sample.sample_id) ?? sample.comment;
  byId("comment").dataset.of = sample.sample_id;
}

function drawDetail(sample, detail) {
  byId("verdict").textContent = detail.status ? `judges: ${detail.status}` : "";
  byId("verdict").className = `tag ${detail.status}`;
  byId("own").textContent = sample.label ? `you: ${sample.label}` : "";
  byId("own").className = `tag ${sample.label}`;
  byId("database").textContent = detail.database;
  byId("teacher").textContent = detail.teacher;
  byId("sample-id").textContent = detail.sample_id.slice(0, 12);
  byId("question").textContent = detail.question || "(none)";
  byId("trace").textContent = detail.trace || "(none)";
  byId("sql").replaceChildren(...colour(detail.sql || "(none)"));
  byId("evidence").replaceChildren(...detail.evidence.map(drawVerdict));
  byId("judged").hidden = !detail.status;
  byId("chosen").hidden = state.session.drawn === "random" && howDrawn(sample) === "random";
  byId("sample").scrollTop = 0;
  byId("sample").dataset.shown = sample.sample_id;
}

function colour(sql) {
  const parts = [];
  let end = 0;
  for (const found of sql.matchAll(SQL_PARTS)) {
    parts.push(document.createTextNode(sql.slice(end, found.index)));
    parts.push(make("span", found[0], found[1] ? "string" : found[2] ? "number" : "keyword"));
    end = found.index + found[0].length;
  }
  return [...parts, document.createTextNode(sql.slice(end))];
}

function drawVerdict(verdict) {
  const row = document.createElement("tr");
  const score = verdict.score === null ? "" : verdict.score.toFixed(2);
  row.append(make("td", verdict.is_decisive ? verdict.status : `${verdict.status}, not decisive`, verdict.status));
  row.append(...[verdict.criterion, verdict.judge, score, verdict.reason].map((text) => make("td", text)));
  if (verdict.found_by) {
    const more = document.createElement("details");
    more.append(make("summary", "found by"), make("code", verdict.found_by));
    row.lastElementChild.append(more);
  }
  return row;
}

function goTo(place) {
  if (place < 0 || place >= state.shown.length || state.isBusy) return;
  keepDraft();
  state.place = place;
  showSample();
}

function goToOpen() {
  keepDraft();
  const open = (sample) => !sample.label;
  const after = state.shown.findIndex((sample, place) => place > state.place && open(sample));
  const place = after >= 0 ? after : state.shown.findIndex(open);
  if (place >= 0) {
    state.place = place;
    return showSample();
  }
  return Promise.all([showSample(), openSummary()]);
}

function keepDraft() {
  const sample = current();
  if (!sample || byId("comment").dataset.of !== sample.sample_id) return;
  const text = byId("comment").value;
  if (text === sample.comment) state.drafts.delete(sample.sample_id);
  else state.drafts.set(sample.sample_id, text);
}

// A label counts once the server says that it is saved; until then nothing moves on.
async function save(label, isMovingOn) {
  const sample = current();
  if (!sample || state.isBusy || byId("sample").dataset.shown !== sample.sample_id) return;
  state.isBusy = true;
  byId("saved").textContent = "saving …";
  const body = { sample_id: sample.sample_id, label, comment: byId("comment").value, drawn: howDrawn(sample) };
  try {
    const saved = await ask("/api/labels", {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body),
    });
    sample.label = saved.label;
    sample.status = saved.status;
    sample.comment = saved.comment;
    state.drafts.delete(sample.sample_id);
    const judges = state.session.is_blind ? `; the judges say ${saved.status}` : "";
    byId("saved").textContent = `saved: ${saved.label} ${saved.sample_id.slice(0, 12)}${judges}`;
    tellTrouble("");
  } catch (error) {
    byId("saved").textContent = "";
    tellTrouble(`Not saved: ${error.message} Nothing is lost; try again.`);
    return;
  } finally {
    state.isBusy = false;
  }
  const item = byId("list").children[state.shown.indexOf(sample)];  // the filters may have moved meanwhile
  if (item) markLabel(item, sample);
  drawCount();
  await (isMovingOn ? goToOpen() : showSample());
}

async function openSummary() {
  try {
    byId("summary-text").textContent = (await ask("/api/summary")).summary;
    if (!byId("summary").open) byId("summary").showModal();
  } catch (error) {
    tellTrouble(error.message);
  }
}

function leaveComment(event) {
  const sample = current();
  keepDraft();
  if (event.relatedTarget?.dataset?.label || !sample?.label || !state.drafts.has(sample.sample_id)) return;
  save(sample.label, false);
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const isTyping = event.target.matches("textarea, input, select");
  if (isTyping) {
    if (event.key === "Escape") { event.target.blur(); event.preventDefault(); }
    return;
  }
  const acted = actOn(event);
  if (acted) event.preventDefault();
}

function actOn(event) {
  const { key } = event;
  if (key === "ArrowRight" || key === "ArrowLeft") goTo(state.place + (key === "ArrowRight" ? 1 : -1));
  else if (event.repeat) return false;
  else if (key in LABEL_KEYS) save(LABEL_KEYS[key], true);
  else if (key in STATUS_KEYS && !state.session.is_blind) { byId("status").value = STATUS_KEYS[key]; applyFilters(); }
  else if (key === "c") byId("comment").focus();
  else if (key === "/") byId("search").focus();
  else if (key === "s") openSummary();
  else if (key === "?") byId("help").showModal();
  else return false;
  return true;
}

async function start() {
  try {
    state.session = await ask("/api/session");
  } catch (error) {
    tellTrouble(error.message);
    return;
  }
  byId("recipe").textContent = state.session.recipe;
  byId("reviewer").textContent = state.session.reviewer;
  state.shown = state.session.samples;
  byId("by-status").hidden = state.session.is_blind;
  ["status", "said"].forEach((id) => byId(id).addEventListener("change", applyFilters));
  byId("search").addEventListener("input", () => {
    clearTimeout(state.typing);
    state.typing = setTimeout(applyFilters, TYPING_PAUSE_MS);
  });
  byId("comment").addEventListener("blur", leaveComment);
  byId("open-help").addEventListener("click", () => byId("help").showModal());
  byId("open-summary").addEventListener("click", openSummary);
  byId("back").addEventListener("click", () => goTo(state.place - 1));
  byId("next").addEventListener("click", () => goTo(state.place + 1));
  document.querySelectorAll("[data-label]").forEach((button) => {
    button.addEventListener("click", () => save(button.dataset.label, true));
  });
  document.addEventListener("keydown", onKey);
  window.addEventListener("beforeunload", (event) => {
    keepDraft();
    if (state.drafts.size) event.preventDefault();
  });
  drawList();
  await showSample();
}

start();
