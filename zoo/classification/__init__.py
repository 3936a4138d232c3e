"""Classification of series: recipe, inputs, and what a preset stores."""
