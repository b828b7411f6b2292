//! Waiting for the few answers that wgpu gives as futures.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The answer of a future, which this thread waits for.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(answer) = future.as_mut().poll(&mut context) {
            return answer;
        }
        std::thread::park();
    }
}

#[cfg(test)]
mod tests {
    use super::block_on;
    use std::task::Poll;

    #[test]
    fn an_answer_that_comes_later_is_waited_for() {
        let mut asked = 0;
        let later = std::future::poll_fn(|context| {
            asked += 1;
            if asked < 3 {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(asked)
        });
        assert_eq!(block_on(later), 3);
    }
}
