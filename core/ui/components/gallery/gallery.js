// A grid of example cards that can be clicked or reached by keyboard. All text is set as text.
export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".cards");
  const chosen = new Set(data.chosen);
  const cards = data.cards.map((card) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = card.wrong ? "card wrong" : "card";
    button.setAttribute("aria-pressed", chosen.has(card.example));
    button.title = card.title;
    const image = document.createElement("img");
    image.src = card.image;
    image.alt = "";
    button.append(image);
    for (const [kind, words] of card.lines) {
      const line = document.createElement("span");
      line.className = kind;
      line.textContent = words;
      button.append(line);
    }
    button.onclick = () => setTriggerValue("clicked", card.example);
    return button;
  });
  const focused = [...root.children].indexOf(root.getRootNode().activeElement);
  const anew = root.firstChild?.title !== cards[0]?.title;
  root.className = `cards ${data.form}`;
  root.style.setProperty("--side", `${data.side}px`);
  root.replaceChildren(...cards);
  if (anew) root.scrollTo(0, 0); // the first card is another, so what is first is looked for
  if (focused >= 0 && cards[focused]) cards[focused].focus({ preventScroll: true });
}
