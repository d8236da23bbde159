import java.util.Map;

import org.apache.rocketmq.acl.common.AclClientRPCHook;
import org.apache.rocketmq.acl.common.SessionCredentials;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.MessageSelector;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.remoting.RPCHook;

/** Against a broker with users and policies, with TLS, and without property filters. */
final class SecurityCases {
    static final String ADMIN = "super";
    static final String ADMIN_SECRET = "super-secret";

    static void register(Map<String, Driver.Check> cases) {
        cases.put("tls", SecurityCases::tls);
        cases.put("acl-stage", SecurityCases::stage);
        cases.put("acl-super-user", SecurityCases::superUser);
        cases.put("acl-wrong-secret", SecurityCases::wrongSecret);
        cases.put("acl-policies", SecurityCases::policies);
        cases.put("acl-users", SecurityCases::users);
        cases.put("filter-switched-off", SecurityCases::filterSwitchedOff);
    }

    static RPCHook signed(String user, String secret) {
        return new AclClientRPCHook(new SessionCredentials(user, secret));
    }

    private static void tls(Lab plain) throws Exception {
        Lab lab = plain.as(null, true);
        String topic = lab.topic(2);
        Lab.sendAll(lab.producer(), topic, 1, 10);
        lab.listen(Lab.fresh("group"), topic, "*").awaitExactly(Lab.numbers(1, 10), 30);
        plain.listen(Lab.fresh("group"), topic, "*").awaitExactly(Lab.numbers(1, 10), 30);
    }

    /** The topic that the verbs of mqadmin look at. */
    private static void stage(Lab nobody) throws Exception {
        Lab lab = nobody.as(signed(ADMIN, ADMIN_SECRET), false);
        lab.topic(new TopicConfig(StageCases.TOPIC, 4, 4, 6));
    }

    private static void superUser(Lab nobody) throws Exception {
        Lab lab = nobody.as(signed(ADMIN, ADMIN_SECRET), false);
        String topic = lab.topic(2);
        Lab.sendAll(lab.producer(), topic, 1, 10);
        lab.listen(Lab.fresh("group"), topic, "*").awaitExactly(Lab.numbers(1, 10), 30);
    }

    private static void wrongSecret(Lab nobody) throws Exception {
        Lab admin = nobody.as(signed(ADMIN, ADMIN_SECRET), false);
        String topic = admin.topic(1);
        for (Lab lab : new Lab[] {nobody, nobody.as(signed(ADMIN, "wrong"), false), nobody.as(signed("stranger", ADMIN_SECRET), false)}) {
            var producer = lab.producer();
            producer.setRetryTimesWhenSendFailed(0);
            // A name server that asks for signatures gives no route either, so the client may not come to the broker.
            Lab.check(Lab.refused(() -> producer.send(Lab.message(topic, "a"))) != 0, "a send");
            Lab.equal(16, Lab.refused(() -> {
                lab.admin().createAndUpdateTopicConfig(lab.broker, new TopicConfig(Lab.fresh("topic"), 1, 1, 6));
                return "created";
            }), "answer of the broker");
        }
    }

    private static void policies(Lab nobody) throws Exception {
        Lab admin = nobody.as(signed(ADMIN, ADMIN_SECRET), false);
        String[] topics = {admin.topic(1), admin.topic(1)};
        String group = Lab.fresh("group");
        String user = Lab.fresh("user");
        admin.admin().createUser(admin.broker, user, "user-secret", "Normal");
        admin.admin().createAcl(admin.broker, "User:" + user, java.util.List.of("Topic:" + topics[0], "Group:" + group),
            java.util.List.of("Pub", "Sub"), java.util.List.of(), "Allow");
        Lab lab = nobody.as(signed(user, "user-secret"), false);
        var producer = lab.producer();
        producer.setRetryTimesWhenSendFailed(0);
        Lab.sendAll(producer, topics[0], 1, 5);
        Lab.check(Lab.refused(() -> producer.send(Lab.message(topics[1], "a"))) != 0, "a send to the other topic");
        lab.listen(group, topics[0], "*").awaitExactly(Lab.numbers(1, 5), 30);
        Inbox other = lab.listen(Lab.fresh("group"), topics[0], "*");
        Thread.sleep(3_000);
        Lab.equal(0, other.size(), "deliveries to a group without a policy");
        admin.admin().deleteAcl(admin.broker, "User:" + user, "");
        Lab.until(30, () -> "the policy is gone", () -> Lab.refused(() -> producer.send(Lab.message(topics[0], "a"))) != 0);
    }

    private static void users(Lab nobody) throws Exception {
        Lab lab = nobody.as(signed(ADMIN, ADMIN_SECRET), false);
        String user = Lab.fresh("user");
        lab.admin().createUser(lab.broker, user, "first", "Normal");
        Lab.equal("Normal", lab.admin().getUser(lab.broker, user).getUserType(), "type");
        Lab.equal(1, lab.admin().listUser(lab.broker, user).size(), "listed");
        lab.admin().updateUser(lab.broker, user, "second", "Super", "enable");
        Lab.equal("Super", lab.admin().getUser(lab.broker, user).getUserType(), "type");
        Lab second = nobody.as(signed(user, "second"), false);
        Lab.sendAll(second.producer(), second.topic(1), 1, 1);
        lab.admin().deleteUser(lab.broker, user);
        Lab.check(lab.admin().getUser(lab.broker, user) == null, "user is gone");
    }

    private static void filterSwitchedOff(Lab nobody) throws Exception {
        Lab lab = nobody.as(signed(ADMIN, ADMIN_SECRET), false);
        String topic = lab.topic(1);
        DefaultMQPushConsumer consumer = lab.consumer(Lab.fresh("group"));
        consumer.subscribe(topic, MessageSelector.bySql("a = 1"));
        Lab.equal(1, Lab.refused(() -> lab.listen(consumer)), "answer");
    }
}
