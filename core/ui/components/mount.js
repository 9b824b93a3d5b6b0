// What Streamlit calls: at each rerun of the page, with the place that the drawing has on it.

const VIEWS = new WeakMap(); // place -> View

export default function ({ data, parentElement, setStateValue }) {
  if (!VIEWS.has(parentElement)) VIEWS.set(parentElement, new View(parentElement));
  const view = VIEWS.get(parentElement);
  view.update(data, setStateValue);
  return () => {
    view.close();
    VIEWS.delete(parentElement);
  };
}
