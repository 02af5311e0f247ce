// The margin: each grade beside the turn in which it was given, and what the golden path expected there.

/** Grades in the margin. */
function marginOf(talk, grades, title) {
  return h(
    "div",
    { class: "margin" },
    title ? h("h2", { class: "unseen" }, title) : "",
    grades.map((grade) => gradeBlock(talk, grade)),
  );
}

function gradeBlock(talk, grade) {
  const status = STATUSES[grade.status];
  const failed = grade.status === "-";
  const name = h(
    "p",
    {},
    h(
      "span",
      { class: "name" },
      SIGNS[grade.status],
      " ",
      h("span", { class: "unseen" }, `${status}: `),
      shown(grade.step),
    ),
    " ",
    h("span", { class: "check" }, shown(grade.check)),
  );
  const reason = textOf(talk, grade.reason);
  const expected =
    grade.expected === undefined
      ? ""
      : [h("h3", {}, "the golden path expected"), h("pre", {}, wish(...textOf(talk, grade.expected), grade.check))];
  const found =
    grade.found === undefined ? "" : [h("h3", {}, "found"), h("pre", {}, wish(...textOf(talk, grade.found)))];
  const inside = [
    expected,
    found,
    grade.skill ? h("p", { class: "check" }, "skill: ", shown(grade.skill)) : "",
    grade.score === undefined ? "" : h("p", { class: "check" }, `score ${grade.score}`),
  ];
  return h(
    "div",
    { class: `grade ${status.replace(" ", "-")}`, id: `${talk.side ?? ""}grade:${grade.step}`, tabindex: "-1" },
    name,
    failed || grade.status === "?" ? [h("p", {}, long(...reason)), inside] : folded(talk, grade, reason, inside),
    failed && grade.fault && grade.fault !== "agent"
      ? h("p", { class: "check" }, "at fault: ", shown(grade.fault))
      : "",
  );
}

/** A grade that nobody needs to look into: what was expected on one line, the rest behind it. */
function folded(talk, grade, reason, inside) {
  const brief = grade.expected === undefined ? reason[0] : wishLine(textOf(talk, grade.expected)[0], grade.check);
  const cut = brief.length > 70 ? `${brief.slice(0, 70)}…` : brief;
  return h("details", {}, h("summary", {}, shown(cut)), h("p", {}, long(...reason)), inside);
}

/** Which calls a `no_call` step forbids. */
function forbidden(which) {
  if (which === "any") return "no call at all";
  if (which === "other") return "no call beyond those of the golden path";
  return `no call of ${[which].flat().join(", ")}`;
}

/** What was expected, on one line. */
function wishLine(text, check) {
  try {
    const value = JSON.parse(text);
    if (check === "no_call") return forbidden(value);
    return isCall(value) ? `${value.name}(${oneLine(JSON.stringify(value.arguments), 200)})` : oneLine(text, 200);
  } catch {
    return text;
  }
}

/** What was expected or found: a call as a call, anything else as lines of name and value. */
function wish(text, whole, check) {
  try {
    const value = JSON.parse(text);
    if (check === "no_call") return shown(forbidden(value));
    const calls = Array.isArray(value) ? value : [value];
    if (calls.length && calls.every(isCall)) return shown(calls.map(callLine).join("\n"));
    if (typeof value === "string") return long(value, whole);
    if (value && typeof value === "object" && !Array.isArray(value)) {
      return shown(
        Object.entries(value)
          .map(([name, it]) => `${name}: ${JSON.stringify(it)}`)
          .join("\n"),
      );
    }
  } catch {
    return long(text, whole);
  }
  return long(pretty(text), whole);
}

const isCall = (value) => value && typeof value === "object" && typeof value.name === "string" && "arguments" in value;

function callLine(call) {
  const given =
    call.arguments && typeof call.arguments === "object"
      ? Object.entries(call.arguments)
          .map(([name, it]) => `\n  ${name}: ${JSON.stringify(it)}`)
          .join("")
      : ` ${JSON.stringify(call.arguments)}`;
  return `${call.name}(${given}${given.startsWith("\n") ? "\n" : ""})`;
}
