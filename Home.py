"""Streamlit imports this file once, for the server, and runs it as a script at each click."""

if __name__ == "__main__":
    from core.ui.frame import main

    main()
else:
    import streamlit as st
    from starlette.middleware import Middleware

    from core.ui.assets import Assets
    from core.ui.picture_route import route
    from core.ui.start import searches_spared, starting

    searches_spared()
    app = st.App(__file__, lifespan=starting, routes=[route()], middleware=[Middleware(Assets)])
