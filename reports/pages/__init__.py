"""One module per page of the report; each turns results into a `Page` of data."""
