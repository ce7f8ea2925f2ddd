"""Who gets what, at what price: one clearing of a book, with a certificate. Pure: book arrays in, outcome out."""
