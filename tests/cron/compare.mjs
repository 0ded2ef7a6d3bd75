// SPDX-License-Identifier: ISC
// usage: node compare.mjs LIST CRONER [ZONEINFO]
//
// Holds event/cron, through the program LIST, against the npm package croner in
// the directory CRONER: every zone that both know, ten years. Where there is
// much to compare the two days around each change of the clocks are looked at,
// else all of it. An expression of one hour and one minute croner has right after
// a gap, the others it skips there: each is held against that choice of ours.
// What the choices differ by must be times of a change, and nothing else.
// Counts, and each kind of difference with an example; 1 when there is one that
// is not known.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [list, croner, zoneinfo = "/usr/share/zoneinfo"] = process.argv.slice(2);
const { Cron } = await import(pathToFileURL(`${croner}/dist/croner.js`));

const FROM = Date.UTC(2026, 0, 1) / 1000, UNTIL = Date.UTC(2036, 0, 1) / 1000;
const HOUR = 3600, DAY = 24 * HOUR;
const WHOLE = [
  "0 0 1 * *", "30 2 * 3,10 sun", "30 1 * 4,9-11 0", "15 3 29 2 *",
  "0 12 13 * fri", "0 9 1-7 */3 mon-fri", "@yearly", "@weekly", "59 23 31 * *",
];
const AROUND_CHANGES = [
  "0 0 * * *", "30 0 * * *", "30 1 * * *", "30 2 * * *", "0 3 * * *",
  "*/20 2 * * *", "10 0-3 * * *", "0 */2 * * *", "15,45 */3 * * *",
  "0 * * * *", "*/30 * * * *", "30 15 1,13 * * *",
];
// croner has a time of day in both passes of an overlap, too, where it is one of
// several in the expression, and once where it is the only one; OCPS 1.4 (4.3.1)
// and we have each once, in the first pass.
const KNOWN = /only croner's, second pass of an overlap$/;

function ask(lines) {
  return execFileSync(list, { input: lines.join("\n") + "\n",
    maxBuffer: 1 << 30, encoding: "utf8" }).split("\n").slice(0, -1)
    .map((line) => line.trim().split(" ").filter((word) => word !== ""));
}

// Seconds east of UTC, as Node's own time zone database has it.
function offsetIn(format, at) {
  const p = Object.fromEntries(format.formatToParts(at * 1000)
    .map(({ type, value }) => [type, Number(value)]));
  return Date.UTC(p.year, p.month - 1, p.day, p.hour, p.minute, p.second) /
    1000 - at;
}

function isSameDatabase(zone, changes) {
  const format = new Intl.DateTimeFormat("en-US", { timeZone: zone,
    hourCycle: "h23", year: "numeric", month: "numeric", day: "numeric",
    hour: "numeric", minute: "numeric", second: "numeric" });
  return changes.every(([at, offset], i) =>
    offsetIn(format, at) === offset &&
    (i === 0 || offsetIn(format, at - 1) === changes[i - 1][1])) &&
    Array.from({ length: 120 }, (_, i) => FROM + i * 30 * DAY).every((at) =>
      offsetIn(format, at) ===
      changes.findLast(([from]) => from <= at)[1]);
}

function theirTimes(cron, from, until) {
  const times = [];
  for (let at = new Date(from * 1000); ;) {
    const next = cron.nextRun(at);
    if (next === null || next.getTime() / 1000 >= until)
      return times;
    if (next <= at)
      return [...times, `stands still at ${next.toISOString()}`];
    times.push(next.getTime() / 1000);
    at = next;
  }
}

// What kind of moment it is that only one of the two has.
function kindOf(at, changes) {
  const i = changes.findLastIndex(([from]) => from <= at + DAY);
  const [when, offset] = changes[Math.max(i, 0)];
  const before = changes[Math.max(i - 1, 0)][1];
  const change = offset - before;
  if (i < 1 || Math.abs(at - when) > DAY)
    return "apart from changes";
  if (change > 0)
    return at < when ? "before a gap" : at < when + change
      ? "after a gap" : "long after a gap";
  return at < when ? "first pass of an overlap"
    : at < when - change ? "second pass of an overlap" : "after an overlap";
}

const zones = Intl.supportedValuesOf("timeZone")
  .filter((zone) => existsSync(`${zoneinfo}/${zone}`));
const allChanges = ask(zones.map(
  (zone) => `changes ${zoneinfo}/${zone} ${FROM} ${UNTIL}`));
const differences = new Map(), otherData = [];
const wrong = [];
let cases = 0, times = 0, different = 0, gaps = 0;

zones.forEach((zone, z) => {
  const changes = allChanges[z].map((word) => word.split(":").map(Number));
  if (!isSameDatabase(zone, changes)) {
    otherData.push(zone);
    return;
  }
  const jobs = WHOLE.map((text) => [text, FROM, UNTIL]);
  for (const text of AROUND_CHANGES)
    for (const [at] of changes.slice(1))
      jobs.push([text, at - DAY - 1, at + DAY]);
  const [after, skipping] = ["after", "skip"].map((gap) =>
    ask(jobs.map(([text, from, until]) =>
      `times ${zoneinfo}/${zone} ${from} ${until} ${gap} ${text}`)));
  const crons = new Map();
  jobs.forEach(([text, from, until], j) => {
    if (!crons.has(text))
      crons.set(text, new Cron(text, { timezone: zone }));
    const theirs = new Set(theirTimes(crons.get(text), from, until));
    const changeTimes = new Set(changes.map(([at]) => at));
    const ours = /^(\d+ \d+( \S+){3}|@.*)$/.test(text) ? after[j] : skipping[j];
    const mine = new Set(ours.map(Number));
    const skipped = after[j].filter((at) => !skipping[j].includes(at));
    gaps += skipped.length;
    if (after[j].length !== skipping[j].length + skipped.length ||
        !skipped.every((at) => changeTimes.has(Number(at))))
      wrong.push(`${zone} "${text}": skip is no part of after`);
    cases++;
    times += mine.size;
    let differs = false;
    for (const [a, b, who] of [[mine, theirs, "only ours"],
      [theirs, mine, "only croner's"]])
      for (const at of a)
        if (!b.has(at)) {
          const kind = typeof at === "string" ? at.slice(0, 12)
            : kindOf(at, changes);
          const key = `"${text}" ${who}, ${kind}`;
          const known = differences.get(key) ?? { n: 0, example:
            `${zone} ${typeof at === "string" ? at
              : new Date(at * 1000).toISOString()}` };
          known.n++;
          differences.set(key, known);
          differs = true;
        }
    different += differs;
  });
});

console.log(`${zones.length} zones, ${otherData.length} of them with other ` +
  `data in Node ${process.versions.node} (tz ${process.versions.tz}): ` +
  otherData.join(" "));
console.log(`${cases} cases, ${times} times, ${gaps} of them after a gap; ` +
  `${different} cases differ`);
for (const [key, { n, example }] of [...differences].sort()) {
  console.log(`${n} x ${key}: ${example}`);
  if (!KNOWN.test(key))
    wrong.push(key);
}
for (const what of wrong)
  console.log(`not known: ${what}`);
process.exit(wrong.length === 0 && cases > 0 ? 0 : 1);
