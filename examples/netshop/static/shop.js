// Keeps stock and orders up to date while the page is open. Without this script everything works, one page at a time.
const script = document.querySelector("script[data-account]");
const lamp = document.getElementById("live");

function flash(element) {
  element.classList.remove("changed");
  void element.offsetWidth; // so that the animation begins anew
  element.classList.add("changed");
}

function say(element, text) {
  if (element.textContent === text) return;
  element.textContent = text;
  flash(element);
}

function words(element) {
  return Object.fromEntries(element.dataset.states.split("|").map((pair) => pair.split("=")));
}

function showStock(stock) {
  for (const label of document.querySelectorAll("[data-sku]")) {
    const left = stock[label.dataset.sku] ?? 0;
    say(label, left ? label.dataset.left.replace("#", left) : label.dataset.soldOut);
  }
  for (const button of document.querySelectorAll("[data-needs]")) button.disabled = !stock[button.dataset.needs];
}

function showOrders(orders) {
  const own = document.querySelector("[data-order]");
  const mine = own && orders.find(({ number }) => number === Number(own.dataset.order));
  if (mine) say(own.querySelector(".state"), words(own)[mine.state]);
  const list = document.getElementById("orders");
  if (!list) return;
  const known = new Map([...list.children].map((line) => [Number(line.dataset.number), line]));
  const lines = orders.map(({ number, state }) => {
    const line = known.get(number) ?? newLine(list, number);
    say(line.querySelector(".state"), words(list)[state]);
    return line;
  });
  list.replaceChildren(...lines);
}

function newLine(list, number) {
  const line = document.createElement("li");
  line.dataset.number = number;
  const title = document.createElement("span");
  title.textContent = list.dataset.title.replace("#", number);
  const state = document.createElement("span");
  state.className = "state";
  line.append(title, " ", state);
  return line;
}

const events = new EventSource("/events");
events.onopen = () => lamp?.classList.add("on");
events.onerror = () => lamp?.classList.remove("on"); // the browser connects again by itself
events.addEventListener("stock", (event) => showStock(JSON.parse(event.data)));
events.addEventListener("orders", (event) => showOrders(JSON.parse(event.data)));

// The same question that the server asks, asked by the browser: another origin (CORS), with the visitor's cookie.
async function askAccount() {
  const { user } = await (await fetch(`${script.dataset.account}/api/me`, { credentials: "include" })).json();
  return user ? user.name : "–";
}
askAccount()
  .catch(() => "✕")
  .then((answer) => {
    const hint = document.createElement("span");
    hint.textContent = ` · ${script.dataset.asked.replace("#", answer)}`;
    document.getElementById("hints").append(hint);
  });
