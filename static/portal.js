// Comforts only: every page does its work without this file.

function copyNumber() {
  for (const button of document.querySelectorAll("[data-copy]")) {
    const source = document.querySelector(button.dataset.copy);
    const status = document.querySelector("[data-copy-status]");
    if (!source) continue;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const text = source.textContent.trim();
      const copied = (await toClipboard(text)) || select(source);
      status.textContent = "";
      // A fresh text node makes screen readers announce a second copy too.
      requestAnimationFrame(() => {
        status.textContent = copied ? button.dataset.copied : button.dataset.notCopied;
      });
    });
  }
}

async function toClipboard(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false; // no permission, or a page without TLS
  }
}

function select(element) {
  const selection = getSelection();
  selection.selectAllChildren(element);
  return document.execCommand("copy");
}

function revealTyping() {
  for (const control of document.querySelectorAll("[data-reveal]")) {
    const input = control.querySelector("input");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "reveal";
    button.setAttribute("aria-controls", input.id);
    const show = (visible) => {
      input.type = visible ? "text" : "password";
      button.textContent = visible ? control.dataset.hide : control.dataset.show;
      const name = document.createElement("span");
      name.className = "visually-hidden";
      name.textContent = ` ${control.dataset.name}`;
      button.append(name);
    };
    show(false);
    button.addEventListener("click", () => show(input.type === "password"));
    // Sent as a password again, so that no browser remembers it as plain text.
    input.form?.addEventListener("submit", () => show(false));
    control.append(button);
  }
}

function countDown() {
  for (const form of document.querySelectorAll("[data-countdown]")) {
    const button = form.querySelector("button");
    const label = button.textContent;
    const end = performance.now() + Number(form.dataset.countdown) * 1000;
    const tick = () => {
      const left = Math.ceil((end - performance.now()) / 1000);
      button.disabled = left > 0;
      button.textContent = left > 0 ? form.dataset.wait.replace("0", left) : label;
      if (left > 0) setTimeout(tick, 1000);
    };
    tick();
  }
}

function showErrors() {
  document.querySelector("[data-error-summary]")?.focus();
}

function offerPrinting() {
  for (const button of document.querySelectorAll("[data-print]")) {
    button.hidden = false;
    button.addEventListener("click", () => print());
  }
}

function openAnswer() {
  const target = location.hash && document.getElementById(location.hash.slice(1));
  if (target instanceof HTMLDetailsElement) target.open = true;
}

copyNumber();
revealTyping();
countDown();
showErrors();
offerPrinting();
openAnswer();
addEventListener("hashchange", openAnswer);
// A page of a signed-in member that is taken back from the browser's cache asks anew whether the
// session is still open; until it knows, it shows nothing.
if (document.querySelector("[data-signed-in]")) {
  addEventListener("pagehide", (event) => {
    if (event.persisted) document.body.hidden = true;
  });
  addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });
}
// A page taken back from the browser's cache must not show what was typed.
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  for (const input of document.querySelectorAll("[data-reveal] input")) input.value = "";
});
