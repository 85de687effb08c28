// Until the page is built: signs in with the ticket that `stores open` put into the fragment, and says what runs.
const said = document.getElementById("said");
const ticket = new URLSearchParams(location.hash.slice(1)).get("ticket");
if (ticket) {
  await fetch("/api/v1/session", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ ticket }),
  });
  history.replaceState(null, "", location.pathname);
}
const answer = await fetch("/api/v1/services");
const told = await answer.json();
said.textContent = answer.ok
  ? told.services.map((one) => `${one.name}: ${one.state}`).join(", ")
  : `${told.detail} ${told.hint ?? ""}`;
