"use strict";
// Shows /v1/zone, every second. Names come from MMRs: they are only ever set as text.
const element = (id) => document.getElementById(id);
const percent = (share) => `${Math.round(share * 100)} %`;

function cell(row, text, isNumber) {
  const made = row.insertCell();
  made.textContent = text;
  if (isNumber) made.className = "number";
  return made;
}

function show(mmr) {
  const row = element("mmrs").insertRow();
  if (mmr.unfit) row.className = "unfit";
  cell(row, mmr.id);
  cell(row, mmr.unfit ? mmr.unfit.replaceAll("_", " ") : "serving");
  const stress = cell(row, "");
  const meter = document.createElement("meter");
  Object.assign(meter, { min: 0, max: 1, low: 0.8, high: 0.95, optimum: 0, value: mmr.stress_corrected });
  stress.append(meter, ` ${percent(mmr.stress)}, ${percent(mmr.stress_corrected)}`);
  cell(row, mmr.resource);
  cell(row, mmr.workers_stress.map(percent).join(" · "));
  cell(row, mmr.meetings, true);
  cell(row, mmr.participants, true);
  cell(row, mmr.headroom, true);
  cell(row, `${(mmr.report_age_ms / 1000).toFixed(1)} s ago`, true);
  const left = mmr.drain && Math.max(0, Math.round(mmr.drain.until_s - Date.now() / 1000));
  cell(row, mmr.drain ? `${left} s left` : "");
  cell(row, mmr.version);
}

async function look() {
  try {
    const answer = await fetch("/v1/zone", { cache: "no-store" });
    if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
    const zone = await answer.json();
    element("zone").textContent = document.title = `Zone ${zone.zone}`;
    const store = zone.store_reachable ? "" : " The store can't be reached: nobody is placed.";
    element("said").textContent =
      `${zone.mmrs.length} MMRs, ${zone.meetings} meetings, as ${zone.controller} sees them.${store}`;
    element("mmrs").replaceChildren();
    zone.mmrs.forEach(show);
  } catch (error) {
    element("said").textContent = `No answer: ${error.message}. What you see is old.`;
  }
  setTimeout(look, 1000);
}
look();
