//! Closed forms that the simulator must agree with.

/// What a formula says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Theory {
    /// Mean wait of all customers, in seconds.
    pub mean_wait_s: f64,
    /// Part that leaves.
    pub abandonment: f64,
}

/// M/M/n (Erlang C): Poisson arrivals, exponential work, `agents` in one pool, nobody leaves.
pub fn erlang_c(rate_per_s: f64, work_s: f64, agents: u32) -> Theory {
    let load = rate_per_s * work_s;
    // Erlang B by its recursion, then C from it.
    let blocked = (1..=agents).fold(1.0, |b, n| load * b / (f64::from(n) + load * b));
    let utilisation = load / f64::from(agents);
    let waits = blocked / (1.0 - utilisation * (1.0 - blocked));
    Theory { mean_wait_s: waits * work_s / (f64::from(agents) * (1.0 - utilisation)), abandonment: 0.0 }
}

/// M/M/n + M (Erlang A): the same with exponential patience.
pub fn erlang_a(rate_per_s: f64, work_s: f64, agents: u32, patience_s: f64) -> Theory {
    // Probabilities of the number in the system, upwards from empty, scaled as they grow.
    let (service, leaving) = (1.0 / work_s, 1.0 / patience_s);
    let (mut probability, mut sum, mut queued) = (1.0_f64, 1.0_f64, 0.0_f64);
    let mut number = 0_u32;
    loop {
        number += 1;
        let waiting = number.saturating_sub(agents);
        let down = f64::from(number.min(agents)) * service + f64::from(waiting) * leaving;
        probability *= rate_per_s / down;
        sum += probability;
        queued += f64::from(waiting) * probability;
        if probability > 1e200 {
            (probability, sum, queued) = (probability * 1e-200, sum * 1e-200, queued * 1e-200);
        }
        if number > agents && probability < sum * 1e-15 {
            break;
        }
    }
    // Little's law, and the rate at which the waiting leave.
    let mean_queue = queued / sum;
    Theory { mean_wait_s: mean_queue / rate_per_s, abandonment: mean_queue * leaving / rate_per_s }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_agent_is_the_textbook_queue() {
        let theory = erlang_c(0.8, 1.0, 1);
        assert!((theory.mean_wait_s - 4.0).abs() < 1e-9, "{theory:?}");
    }

    #[test]
    fn patience_without_end_is_no_patience() {
        let (with, without) = (erlang_a(0.3, 300.0, 100, 1e12), erlang_c(0.3, 300.0, 100));
        assert!((with.mean_wait_s / without.mean_wait_s - 1.0).abs() < 1e-6, "{with:?} {without:?}");
    }
}
