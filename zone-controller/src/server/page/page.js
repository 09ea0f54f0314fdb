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

// Full at 1; what it stands at shows when it is pointed at.
function meter(stress) {
  const made = document.createElement("meter");
  return Object.assign(made, { min: 0, max: 1, low: 0.8, high: 0.95, optimum: 0, value: stress, title: percent(stress) });
}

function show(mmr) {
  const row = element("mmrs").insertRow();
  if (mmr.unfit) row.className = "unfit";
  cell(row, mmr.id);
  cell(row, mmr.unfit ? mmr.unfit.replaceAll("_", " ") : "serving");
  const stress = cell(row, "");
  stress.append(meter(mmr.stress_corrected), ` ${percent(mmr.stress)}, ${percent(mmr.stress_corrected)}`);
  cell(row, mmr.resource);
  cell(row, "").append(...mmr.workers_stress.map(meter));
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
    // Not relative: a page whose address has name and password must not ask for one that has.
    const answer = await fetch(`${location.origin}/v1/zone`, { cache: "no-store" });
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
