// Two conversations beside each other: the baseline's and this run's, turn by turn.

/** The baseline's trial of the same scenario, variant, instance and repeat, where the file knows it; else undefined. */
const besideOf = (trial) => conversations.beside.get(pairKey(trial));

const pairKey = (trial) => [trial.cell.id, trial.instance, trial.repeat].join("\n");

/** Blocks of every turn of either side; what one side lacks is said. */
function pairBlocks(base, talk) {
  const sides = [partsOf(base), partsOf(talk)];
  const numbers = [...new Set(sides.flatMap((it) => [...it.turns.keys()]))].sort((a, b) => a - b);
  return numbers.map((turn) =>
    pairBlock(
      turnTitle(turn),
      sides.map((it) =>
        it.turns.has(turn)
          ? [saidOf(it.talk, it.turns.get(turn), it.failed), marginOf(it.talk, it.gradesOf(turn))]
          : h("p", { class: "faint" }, "This turn was not played."),
      ),
    ),
  );
}

/** What comes after the last turn, of either side. */
function pairEnds(base, talk) {
  const sides = [partsOf(base), partsOf(talk)];
  const none = () => h("p", { class: "faint" }, "None.");
  const blocks = (grades) => sides.map((it) => (grades(it).length ? marginOf(it.talk, grades(it)) : none()));
  return [
    sides.some((it) => it.later.length)
      ? pairBlock(
          "Not reached",
          blocks((it) => it.later),
        )
      : "",
    sides.some((it) => it.talk.outcome.length)
      ? pairBlock(
          "Outcome",
          blocks((it) => it.talk.outcome),
        )
      : "",
  ];
}

function pairBlock(title, [base, here]) {
  return h(
    "section",
    { class: "turn pair" },
    h("h2", {}, title),
    h("div", { class: "side base" }, h("h3", { class: "whose" }, "Baseline"), base),
    h("div", { class: "side" }, h("h3", { class: "whose" }, "This run"), here),
  );
}

/** In the head of a conversation: how the baseline's went, and the steps that were graded otherwise. */
function besideHead(trial, talk) {
  const known = facts.baseline;
  if (!known || trial.base === " ") return "";
  const ended = { S: "succeeded", F: "failed" }[trial.base];
  const said = ended
    ? `The same conversation ${ended} with the baseline.`
    : "The baseline's play of it was not judged.";
  const base = besideOf(trial);
  if (!base) return h("p", { class: "bits" }, `${said} ${whyNotBeside(trial, known)}`);
  const facts_ = [
    ["trial", base.number],
    ["took", base.seconds === null ? null : seconds(base.seconds)],
    ["model calls", base.calls || null],
    ["tokens", base.tokens ? count(base.tokens) : null],
    ["cost", base.cost ? amount(base.cost, "$") : null],
    ["ended by", base.stop === "completed" ? null : base.stop],
  ].filter(([, value]) => value !== null);
  return [
    h(
      "p",
      { class: "bits" },
      said,
      h("span", {}, "run ", h("code", {}, shown(known.run))),
      facts_.map(([name, value]) => h("span", {}, `${name} `, h("code", {}, shown(String(value))))),
    ),
    changedSteps(base, trial),
    talk && base.place === null
      ? h(
          "p",
          { class: "notice" },
          `This file had no room for it: agentkit show ${known.run} --trial ${base.number} prints it.`,
        )
      : "",
  ];
}

function whyNotBeside(trial, known) {
  if (!known.conversations) return "The baseline is a file, which holds no conversations.";
  return againstBase(trial) === "same" ? "Every step got the same grade, so it is not shown beside." : "";
}

function changedSteps(base, trial) {
  const markOf = (it, step) => it.marks[it.cell.steps.indexOf(step)];
  const changed = trial.cell.steps.filter((step) => {
    const marks = [markOf(base, step), markOf(trial, step)];
    return marks[0] !== undefined && marks[1] !== undefined && marks[0] !== marks[1];
  });
  if (!changed.length) return "";
  const line = (step) =>
    h(
      "li",
      {},
      h("a", { href: `#/trial/${trial.number}/${encodeURIComponent(step)}` }, shown(step)),
      `: ${STATUSES[markOf(base, step)]} with the baseline, ${STATUSES[markOf(trial, step)]} here`,
    );
  return h("ul", { class: "changed", "aria-label": "Steps that were graded otherwise" }, changed.map(line));
}
