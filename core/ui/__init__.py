"""What a person sees: the frame, charts, pictures and words. Only here and in core/cache.py is
streamlit imported."""
