// Keeps the week up to date while the page is open. Without this script everything works, one page at a time.
const form = document.getElementById("week");
const lamp = document.getElementById("live");
const words = JSON.parse(form.dataset.states);

function show({ slot, state }) {
  const button = form.querySelector(`button[value="${CSS.escape(slot)}"]`);
  if (!button || button.dataset.state === state) return;
  button.dataset.state = state;
  button.disabled = state === "taken" || state === "past";
  button.formNoValidate = state === "mine";
  button.formAction = state === "mine" ? "/cancel" : "/book";
  button.title = words[state];
  button.querySelector(".hidden").textContent = ` ${words[state]}`;
  button.classList.remove("changed");
  void button.offsetWidth; // so that the animation begins anew
  button.classList.add("changed");
}

// What changed while the connection was away. Only "mine" is not known here: such a slot stays as it is.
async function catchUp() {
  const { slots } = await (await fetch("/api/slots")).json();
  for (const { id, free } of slots) {
    const button = form.querySelector(`button[value="${CSS.escape(id)}"]`);
    if (button && button.dataset.state !== "past" && (free || button.dataset.state === "free")) {
      show({ slot: id, state: free ? "free" : "taken" });
    }
  }
}

let wait = 500; // milliseconds; doubled up to 10 s while nobody answers
let first = true;
function connect() {
  const socket = new WebSocket(new URL("/live", location.href.replace(/^http/, "ws")));
  socket.onopen = () => {
    lamp.classList.add("on");
    wait = 500;
    if (!first) catchUp().catch(() => {});
    first = false;
  };
  socket.onmessage = (event) => show(JSON.parse(event.data));
  socket.onclose = () => {
    lamp.classList.remove("on");
    setTimeout(connect, wait);
    wait = Math.min(wait * 2, 10000);
  };
}
connect();
