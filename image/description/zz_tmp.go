package description

func Schema() []byte { return nil }
