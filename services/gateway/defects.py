"""How a defect of our own is told where what was sent must not be: by its kind and its place, never by its text."""


def place_of(error: BaseException) -> str:
    """Where it was raised. An exception's own text may quote what was sent."""
    trace, place = error.__traceback__, ""
    while trace is not None:
        place, trace = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}", trace.tb_next
    return place
