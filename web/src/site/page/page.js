"use strict";
// Titles come from people: they are only ever set as text.
const element = (id) => document.getElementById(id);
const say = (text) => { element("said").textContent = text; };
const when = (seconds) => (seconds ? new Date(seconds * 1000).toLocaleString() : "");

async function ask(method, path, body) {
  const answer = await fetch(path, {
    method,
    cache: "no-store",
    credentials: "omit",
    headers: { Authorization: `Bearer ${element("token").value}` },
    body: body && JSON.stringify(body),
  });
  const text = await answer.text();
  const value = text && JSON.parse(text);
  if (!answer.ok) throw new Error(value.message || answer.statusText);
  return value;
}

function show(meeting) {
  const row = element("meetings").insertRow();
  for (const text of [meeting.meeting, meeting.title, when(meeting.created_s), when(meeting.ended_s)]) {
    row.insertCell().textContent = text;
  }
  const last = row.insertCell();
  if (meeting.ended_s) return;
  const end = document.createElement("button");
  end.textContent = "End";
  end.onclick = () => attempt(async () => {
    await ask("POST", `/v1/meetings/${meeting.meeting}/end`);
    await list();
    say("Nobody can look it up any more. Who is in it stays.");
  });
  last.append(end);
}

async function list(after) {
  const found = await ask("GET", after ? `/v1/meetings?after=${after}` : "/v1/meetings");
  if (!after) element("meetings").replaceChildren();
  found.meetings.forEach(show);
  element("table").hidden = false;
  element("more").hidden = !found.next;
  element("more").onclick = () => attempt(() => list(found.next));
}

async function attempt(action) {
  try {
    await action();
  } catch (error) {
    say(error.message);
  }
}

element("form").onsubmit = (event) => {
  event.preventDefault();
  attempt(async () => {
    const asked = { title: element("title").value };
    if (element("passcode").value) asked.passcode = element("passcode").value;
    const made = await ask("POST", "/v1/meetings", asked);
    element("link").value = made.link;
    element("made").hidden = false;
    // The next meeting gets a passcode of its own.
    element("passcode").value = "";
    if (!element("table").hidden) await list();
    say(`Meeting ${made.meeting} was created.`);
  });
};
element("list").onclick = () => attempt(() => list());
element("copy").onclick = () => attempt(async () => {
  await navigator.clipboard.writeText(element("link").value);
  say("Copied.");
});
