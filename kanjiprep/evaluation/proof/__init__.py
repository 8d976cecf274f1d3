"""What the judge is proven on: sound pictures, damaged ones, and invented characters."""
