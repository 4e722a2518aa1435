package remote

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// A request is one that is sent again when it fails for a reason that may pass.
type request struct {
	server *server
	ctx    context.Context
	url    *url.URL
	doing  string // a verb, for errors
	pause  *backoff.ExponentialBackOff
	failed int // attempts since the last progress
}

// request returns a request for a file, whose name may be followed by a query.
func (s *server) request(ctx context.Context, doing, name string) request {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.Multiplier, pause.MaxInterval = s.Pause, 2, 30*time.Second
	return request{server: s, ctx: ctx, url: s.at(name), doing: doing, pause: pause}
}

// progress makes an earlier failure not count.
func (q *request) progress() {
	q.failed = 0
	q.pause.Reset()
}

// again waits before another attempt. It returns an error if there are none left.
func (q *request) again(err error, wait time.Duration) error {
	if q.failed++; q.ctx.Err() != nil || q.failed >= q.server.Attempts {
		return q.errorOf(fmt.Errorf("%w (tried %d times)", err, q.failed))
	}
	select {
	case <-q.ctx.Done():
		return context.Cause(q.ctx)
	case <-time.After(max(wait, q.pause.NextBackOff())):
		return nil
	}
}

// errorOf returns an error that says what failed. The end of the context comes first.
func (q *request) errorOf(err error) error {
	if q.ctx.Err() != nil {
		return context.Cause(q.ctx)
	}
	return fmt.Errorf("%s %s: %w", q.doing, q.url.Redacted(), err)
}

// until repeats an attempt until it succeeds, or fails for good. again is called between two.
func (q *request) until(attempt func() (wait time.Duration, err error), again func(error, time.Duration) error) error {
	for {
		wait, err := attempt()
		if err == nil {
			return nil
		}
		if isFinal(err) {
			return q.errorOf(err)
		}
		if err := again(err, wait); err != nil {
			return err
		}
	}
}

// send sends the request once. fill completes it, and the body that it returns is closed by the caller.
func (q *request) send(method string, fill func(*http.Request, *body)) (*http.Response, *body, error) {
	ctx, cancel := context.WithCancel(q.ctx)
	b := &body{cancel: cancel, stall: q.server.Stall}
	r, err := http.NewRequestWithContext(ctx, method, q.url.String(), nil)
	if err != nil {
		cancel()
		return nil, nil, &finalError{"not a URL that can be requested"}
	}
	r.Header.Set("User-Agent", "imprint")
	b.timer = time.AfterFunc(b.stall, b.stop)
	fill(r, b)
	if q.server.sign != nil {
		q.server.sign(r)
	}
	answer, err := q.server.client.Do(r)
	b.timer.Stop()
	if err != nil {
		cancel()
		return nil, nil, b.reason(reasonOf(err))
	}
	b.ReadCloser = answer.Body
	return answer, b, nil
}

// refusedBy returns the error for an answer that is not the one that was asked for.
func (s *server) refusedBy(answer *http.Response) error {
	if s.refused != nil {
		return s.refused(answer)
	}
	return &StatusError{Code: answer.StatusCode}
}

// isFinal reports whether another attempt would not avoid an error.
func isFinal(err error) bool {
	var status *StatusError
	var final *finalError
	var refused *RefusedError
	return errors.As(err, &status) && !status.passes() || errors.As(err, &final) || errors.As(err, &refused)
}

// A finalError is an error that another attempt would not avoid.
type finalError struct{ text string }

func (e *finalError) Error() string { return e.text }

// reasonOf returns an error of the client without the URL, which may have a password.
func reasonOf(err error) error {
	var inside *url.Error
	if errors.As(err, &inside) {
		return inside.Err
	}
	return err
}
