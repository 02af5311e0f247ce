// Which conversations are wanted: words, and what they must be.

const wordsOf = (text) => text.toLowerCase().split(/\s+/).filter(Boolean);

function has(text, words) {
  const folded = text.toLowerCase();
  return words.every((word) => folded.includes(word));
}

/** The address of the list of conversations, filtered. */
function conversationsAt(filter) {
  const wanted = Object.entries(filter).filter(([, value]) => value);
  const query = wanted.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&");
  return `#/conversations${query && "?"}${query}`;
}

const FILTERS = ["q", "inside", "verdict", "scenario", "variant", "against", "step", "status"];

function filterOf(query) {
  const asked = new URLSearchParams(query);
  return Object.fromEntries(FILTERS.map((name) => [name, asked.get(name)]));
}

/** Whether a trial is wanted; `said` holds the trials in which the words were said, if that was asked. */
function wanted(trial, filter, said) {
  const words = wordsOf(filter.q ?? "");
  return (
    (!filter.verdict || trial.verdict === filter.verdict) &&
    (!filter.scenario || trial.scenario === filter.scenario) &&
    (!filter.variant || trial.variant === filter.variant) &&
    (!filter.against || isAgainst(trial, filter.against)) &&
    (!filter.step || stepIs(trial, filter.step, filter.status)) &&
    (said ? said.has(trial.row) : !words.length || has(trial.words, words))
  );
}

/** `steps`: those that ended the same, and have a step with another grade. */
function isAgainst(trial, wish) {
  const ended = againstBase(trial);
  return wish === "steps" ? ended === "same" && conversations.beside.has(pairKey(trial)) : ended === wish;
}

function againstBase(trial) {
  const ends = trial.base + trial.verdict;
  return { SF: "worse", FS: "better", SS: "same", FF: "same" }[ends] ?? "unpaired";
}

function stepIs(trial, step, status) {
  const variants = trial.serves.map((variant) => `${trial.scenario}/${variant}`);
  const at = trial.cell.steps.findIndex((name) => variants.some((variant) => `${variant}#${name}` === step));
  if (at < 0) return false;
  const mark = trial.marks[at] ?? ".";
  return status === "failed" ? mark === "-" : mark !== ".";
}

/** The rows of the trials in which all the words were said, by reading every conversation of the file. */
async function saidIn(trials, words, progress) {
  const found = new Set();
  const pieces = new Map();
  for (const trial of trials) {
    if (trial.place === null) continue;
    if (!pieces.has(trial.place)) pieces.set(trial.place, new Map());
    pieces.get(trial.place).set(trial.number, trial);
  }
  let done = 0;
  for (const [number, inside] of pieces) {
    const { texts, conversations } = await source.conversations(number);
    const folded = texts.map((text) => (Array.isArray(text) ? text[0] : text).toLowerCase());
    for (const talk of conversations) {
      const numbers = textsOf(talk);
      const all = words.every((word) => numbers.some((at) => folded[at].includes(word)));
      if (all && inside.has(talk.trial)) found.add(inside.get(talk.trial).row);
    }
    progress(++done / pieces.size);
  }
  return found;
}

/** The numbers of all texts of a conversation. */
function textsOf(talk) {
  const found = [talk.reason, talk.variables];
  for (const message of talk.messages) {
    found.push(message.text, message.thinks, message.instead, message.error);
    for (const call of message.calls ?? []) found.push(call[1]);
  }
  for (const grade of [...talk.steps, ...talk.outcome]) found.push(grade.reason, grade.expected, grade.found);
  return found.filter((number) => number !== undefined);
}
