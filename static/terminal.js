// The terminal in the store: a keypad to touch, and a page that clears itself. Comforts only:
// without this file the fields are typed into as on any page.

const form = document.querySelector("[data-terminal]");
const fields = form ? [...form.querySelectorAll(".field input")] : [];
const keypad = form?.querySelector("[data-keypad]");
let current;

function use(field) {
  current = field;
  // Below the field it types into: it hides nothing, and the finger's way is short.
  field.closest(".field").after(keypad);
  for (const other of fields) {
    other.closest(".field").classList.toggle("field--current", other === field);
  }
}

function type(digit) {
  current.value += digit;
  current.dispatchEvent(new Event("input", { bubbles: true }));
}

function next() {
  const following = fields[fields.indexOf(current) + 1];
  (following ?? form.querySelector("button.button")).focus();
}

function offerKeypad() {
  if (!keypad) return;
  keypad.hidden = false;
  for (const field of fields) {
    field.inputMode = "none"; // no keyboard of the system over the page
    field.addEventListener("focus", () => use(field));
  }
  use(fields.find((field) => field.closest(".field--error")) ?? fields[0]);
  keypad.addEventListener("click", (event) => {
    const key = event.target.closest("button")?.dataset.key;
    if (key === "back") current.value = current.value.slice(0, -1);
    else if (key === "next") next();
    else if (key) type(key);
  });
  // A touch on a key must not take the focus from the field.
  keypad.addEventListener("pointerdown", (event) => event.preventDefault());
}

function startAgain(address) {
  for (const field of fields) field.value = "";
  location.replace(address); // leaves no entry to come back to
}

function watchIdling() {
  const { idle, warn, start } = document.querySelector("[data-idle]")?.dataset ?? {};
  if (!idle) return;
  const warning = document.querySelector("[data-idle-warning]");
  let touched = performance.now();
  const again = () => {
    touched = performance.now();
    warning.hidden = true;
  };
  for (const sign of ["pointerdown", "keydown", "input"]) addEventListener(sign, again);
  setInterval(() => {
    const seconds = (performance.now() - touched) / 1000;
    if (seconds >= Number(idle)) startAgain(start);
    else if (seconds >= Number(warn)) warning.hidden = false;
  }, 500);
}

function leaveNothing() {
  const clear = () => {
    for (const field of fields) field.value = "";
  };
  // Not on leaving: the form is still being sent then.
  addEventListener("pageshow", (event) => event.persisted && clear());
}

offerKeypad();
watchIdling();
leaveNothing();
