package description

// A checker finds the mistakes that a text shows by itself. It changes nothing.
type checker struct {
	*reporter
	d *Image
}

func (c *checker) validate() {}
